"""Checks of a message before a worker acts on it.

Celery lets a message's ``timelimit`` header override the worker's limit: with 60 s in the header, a
worker limited to 2 s had not killed its task after 18 s. It also assumes that every
message is well-formed: a body of JSON's ``null`` ends the worker.

A client that can write to Redis can still stop the work (SECURITY.md).
"""

import logging
from collections.abc import Callable
from typing import Any, Final

from billiard.einfo import ExceptionWithTraceback
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery.worker.request import Request
from celery.worker.state import task_ready
from celery.worker.strategy import default

from workers.errors import TaskFailedError, UnclaimedError

log = logging.getLogger(__name__)

#: It is logged. Ours have fewer than 40 characters.
_LONGEST_ID: Final = 255


class LimitedRequest(Request):  # type: ignore[misc]  # Celery publishes no types
    """A request whose time limits always come from the task, that is, from the settings."""

    @property
    def time_limits(self) -> tuple[None, None]:
        """No limits from the message; Celery then applies the task's."""
        return (None, None)

    @time_limits.setter
    def time_limits(self, _value: Any) -> None:
        """Ignore the message's header."""

    def on_timeout(self, soft: bool, timeout: float) -> None:  # noqa: ARG002
        """Report a process that is killed for its time limit; the supervisor logs it."""
        self._report_killed(f"it exceeded the time limit of {timeout:g} s")

    def on_retry(self, exc_info: Any) -> None:
        """Requeue the message of a batch that could not be claimed: it is queued in the ledger."""
        if isinstance(exc_info.exception.exc, UnclaimedError):
            self._on_reject(log, self._connection_errors, True)
            self.acknowledged = True
        super().on_retry(exc_info)

    def on_failure(self, exc_info: Any, **options: Any) -> Any:
        """Report a process that was killed; Celery would log it again, with a traceback."""
        error = exc_info.exception
        error = error.exc if isinstance(error, ExceptionWithTraceback) else error
        if isinstance(error, TimeLimitExceeded):
            return None  # the pool calls `on_timeout`, too
        if isinstance(error, WorkerLostError):
            how = str(error).removeprefix("Worker exited prematurely: ").partition(" Job:")[0]
            return self._report_killed(how)
        if isinstance(error, MemoryError):
            # Raised outside the task's body. Celery mistakes it for the parent's and ends that.
            exc_info.exception = TaskFailedError.of(error)
        return super().on_failure(exc_info, **options)

    def _report_killed(self, reason: str) -> None:
        task_ready(self)
        self.acknowledge()  # the ledger returns its batch
        exception = f"its worker process was killed: {reason}"
        self.send_event("task-failed", exception=exception, traceback="")


def strict_strategy(task: Any, app: Any, consumer: Any, **options: Any) -> Callable[..., Any]:
    """Return Celery's handler of a task's messages, preceded by a check of their form.

    A malformed message is dropped with one line in the log; the ledger still has the work.
    """
    handle = default(task, app, consumer, **options)

    def checked(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any, **more: Any) -> Any:
        fault = fault_of(message, body)
        if fault is None:
            return handle(message, body, ack, reject, callbacks, **more)
        log.error(
            "dropped a malformed message for the task %s: %s; no batch is lost", task.name, fault
        )
        return reject(log, consumer.connection_errors)

    return checked


def fault_of(message: Any, body: Any) -> str | None:
    """Return what is wrong with a message's form, or None; `body` is None in protocol 2."""
    headers = message.headers
    if body is not None:
        return "it is not of message protocol 2"
    task_id = headers.get("id")
    if not isinstance(task_id, str) or len(task_id) > _LONGEST_ID:
        return f"its id is not a string of at most {_LONGEST_ID} characters"
    if headers.get("eta") is not None:
        return "it has an ETA; a worker would have to keep it until then"
    expires = headers.get("expires")
    # Celery takes 0 and "" for an expiry, and cannot parse them.
    if not (expires is None or (isinstance(expires, str | int | float) and expires)):
        return "its expiry is not a time"
    if headers.get("stamped_headers") or headers.get("stamps"):
        return "it has stamped headers"
    payload = message.payload
    if not isinstance(payload, list) or len(payload) != 3:
        return "its body is not a list of three elements"
    arguments, keywords, embedded = payload
    if not isinstance(arguments, list) or not isinstance(keywords, dict):
        return "its arguments are not a list and an object"
    if not isinstance(embedded, dict) or any(embedded.values()):
        return "it has callbacks, errbacks or a chain"
    return None
