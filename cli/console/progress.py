"""Progress bars on standard error, drawn only for a terminal.

Imported where there is something to show: rich takes a while to load.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from cli.console.output import on_terminal, tell


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
    """Return a display of sounds done, pace and time left."""
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
    """Return a display of the phases of a long computation."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=error_console(),
        disable=not on_terminal(),
    )


@contextmanager
def shown_phases() -> "Iterator[Phases]":
    """Give the callable that takes a computation's progress, for as long as the block lasts."""
    with phases_progress() as progress:
        yield Phases(progress)


class Phases:
    """Shows each phase as a bar; without a terminal, as a line every ten seconds."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._printed = 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        """See `training.progress.Progress`."""
        if phase not in self._tasks:
            self._tasks[phase] = self._progress.add_task(phase, total=total)
        self._progress.update(self._tasks[phase], completed=done, total=total)
        moment = time.monotonic()
        if not on_terminal() and (done == total or moment - self._printed > 10):
            self._printed = moment
            tell(f"{phase}: {done} of {total}")
            sys.stderr.flush()
