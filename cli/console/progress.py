"""Progress bars on standard error, drawn only for a terminal.

Import this module only where progress is shown: rich takes a while to load.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

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

if TYPE_CHECKING:
    from training.phase_progress import Progress as PhaseProgress


def error_console() -> Console:
    """Return a console on standard error with a descriptor of its own.

    `classifier.native_output.quiet` discards output to descriptor 2 for a moment; the progress
    display must not lose a frame to that.
    """
    try:
        own = os.dup(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):  # closed by the parent process
        own = os.open(os.devnull, os.O_WRONLY)
    return Console(file=os.fdopen(own, "w", encoding="utf-8", errors="replace"), stderr=True)


class _Rate(ProgressColumn):
    """The recent pace in sounds per second."""

    def render(self, task: Task) -> Text:
        """Return the pace as text."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="cyan")


def _progress(*columns: ProgressColumn, transient: bool) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        *columns,
        console=error_console(),
        disable=not on_terminal(),
        transient=transient,
    )


def sounds_progress() -> Progress:
    """Return a display of sounds done, pace and time left."""
    return _progress(_Rate(), TimeRemainingColumn(compact=True), transient=True)


def phases_progress() -> Progress:
    """Return a display of the phases of a long computation, with the time each will still take."""
    return _progress(TimeElapsedColumn(), _TimeLeft(), transient=False)


class _TimeLeft(ProgressColumn):
    """The time left at the phase's mean pace: its steps alternate, and some are slower."""

    def render(self, task: Task) -> Text:
        """Return the time as text, nothing before the first step and after the last."""
        if task.total is None or task.elapsed is None:
            return Text()
        return Text(time_left(task.elapsed, task.completed, task.total), style="cyan")


#: No estimate before this share is done: the first steps also load libraries and compile.
_LEAST_SHARE_DONE: Final = 0.05


def time_left(elapsed_seconds: float, done: float, total: float) -> str:
    """Return the time left at the pace so far as text; empty at the beginning and at the end."""
    if not _LEAST_SHARE_DONE * total <= done < total:
        return ""
    seconds = elapsed_seconds * (total - done) / done
    if seconds < 60:
        return f"{max(1, round(seconds))} s left"
    minutes = round(seconds / 60)
    return f"{minutes} min left" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min left"


@contextmanager
def shown_phases() -> "Iterator[PhaseProgress]":
    """Give a callable that draws a bar for each phase of a computation.

    Without a terminal it prints a line every ten seconds.
    """
    tasks: dict[str, TaskID] = {}
    began: dict[str, float] = {}
    printed = 0.0

    def show(phase: str, done: int, total: int) -> None:
        nonlocal printed
        moment = time.monotonic()
        if phase not in tasks:
            tasks[phase] = progress.add_task(phase, total=total)
            began[phase] = moment
        progress.update(tasks[phase], completed=done, total=total)
        if not on_terminal() and (done == total or moment - printed > 10):
            printed = moment
            left = time_left(moment - began[phase], done, total)
            tell(f"{phase}: {done} of {total}{left and f', {left}'}")

    with phases_progress() as progress:
        yield show
