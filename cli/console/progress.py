"""Bars that move while work is done, on standard error; silent where nobody looks.

Imported when there is something to show, for the library that draws them takes a while to load.
"""

import os
import sys

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from cli.console.output import on_terminal


def error_console() -> Console:
    """Return a console on standard error with a descriptor of its own.

    Reading MP3 headers silences descriptor 2 for a moment (`classifier.headers.reader`); the
    progress display must not lose a frame to that.
    """
    try:
        own = os.dup(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):  # closed by whoever started us
        own = os.open(os.devnull, os.O_WRONLY)
    return Console(file=os.fdopen(own, "w", encoding="utf-8", errors="replace"), stderr=True)


class _Rate(ProgressColumn):
    """Sounds a second, over the last moments."""

    def render(self, task: Task) -> Text:
        """Return the pace as text."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="cyan")


def sounds_progress() -> Progress:
    """Return a display of sounds done, pace and time left; silent where nobody looks."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(compact=True),
        console=error_console(),
        disable=not on_terminal(),
        transient=True,
    )


def phases_progress() -> Progress:
    """Return a display of a long computation's phases; silent where nobody looks."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=error_console(),
        disable=not on_terminal(),
    )
