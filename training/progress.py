"""How a training run says how far it is."""

from collections.abc import Callable
from typing import Protocol


class Progress(Protocol):
    """Told how far a run is; `done` reaches `total` in each phase."""

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Phases come in a fixed order; `phase` is for a person to read."""
        ...


def no_progress(phase: str, done: int, total: int) -> None:
    """Ignore how far a run is."""


def counter(progress: Progress, phase: str, total: int) -> Callable[[], None]:
    """Return a function that tells one more step of a phase at each call."""
    done = 0
    progress(phase, done, total)

    def advance() -> None:
        nonlocal done
        done += 1
        progress(phase, done, total)

    return advance
