"""How a training run reports its progress."""

from collections.abc import Callable
from typing import Protocol


class Progress(Protocol):
    """Called with the progress of a run; `done` reaches `total` in each phase."""

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Phases come in a fixed order; `phase` is shown to the user."""
        ...


def no_progress(phase: str, done: int, total: int) -> None:
    """Report nothing."""


def counter(progress: Progress, phase: str, total: int) -> Callable[[], None]:
    """Return a function that reports one more step of a phase at each call."""
    done = 0
    progress(phase, done, total)

    def advance() -> None:
        nonlocal done
        done += 1
        progress(phase, done, total)

    return advance
