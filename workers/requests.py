"""How a worker reads a message: the time limit is the worker's own.

Celery lets the message's ``timelimit`` header override the worker's limit, so a producer (or anyone
who can write to Redis) could switch the safeguard off: with 60 s in the header, a worker limited to
2 s had not killed its task after 18 s.
"""

from typing import Any

from celery.worker.request import Request


class LimitedRequest(Request):  # type: ignore[misc]  # Celery publishes no types
    """A request whose time limits always come from the task, that is, from the settings."""

    @property
    def time_limits(self) -> tuple[None, None]:
        """No limits of the message's own; Celery then applies the task's."""
        return (None, None)

    @time_limits.setter
    def time_limits(self, _value: Any) -> None:
        """Drop what the message's header asked for."""
