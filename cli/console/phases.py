"""How far a long computation is: bars for a person, a line now and then for a log."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cli.console.output import on_terminal, tell

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


@contextmanager
def shown_phases() -> "Iterator[Phases]":
    """Give what a computation tells its progress to, for as long as the block lasts."""
    from cli.console.progress import phases_progress

    with phases_progress() as progress:
        yield Phases(progress)


class Phases:
    """Shows each phase as a bar, or as a line now and then where nobody looks."""

    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._told = 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        """See `training.progress.Progress`."""
        if phase not in self._tasks:
            self._tasks[phase] = self._progress.add_task(phase, total=total)
        self._progress.update(self._tasks[phase], completed=done, total=total)
        moment = time.monotonic()
        if not on_terminal() and (done == total or moment - self._told > 10):
            self._told = moment
            tell(f"{phase}: {done} of {total}")
            sys.stderr.flush()
