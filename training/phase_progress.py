"""The callback through which a training run reports progress."""

from collections.abc import Callable

#: Called with the name of a phase (shown to the user), its finished steps and its total steps.
#: Phases come in a fixed order.
Progress = Callable[[str, int, int], None]


def no_progress(phase: str, done: int, total: int) -> None:
    """Ignore progress."""


def counter(progress: Progress, phase: str, total: int) -> Callable[[], None]:
    """Return a function that reports one more finished step of a phase at each call."""
    done = 0
    progress(phase, done, total)

    def advance() -> None:
        nonlocal done
        done += 1
        progress(phase, done, total)

    return advance
