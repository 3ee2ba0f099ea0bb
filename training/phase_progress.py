"""How a training run reports its progress."""

from collections.abc import Callable

#: Called with a phase, for the user to read, and how many of its steps are done of how many. Phases
#: come in a fixed order.
Progress = Callable[[str, int, int], None]


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
