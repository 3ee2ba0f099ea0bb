"""Run a blocking query in a background thread, and wait for it no longer than a timeout."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from db.errors import plain

log = logging.getLogger(__name__)

T = TypeVar("T")


class BackgroundQuery(Generic[T]):
    """A query with a timeout; callers that come while it runs share its result.

    A client library that waits in C for a frozen server ignores timeouts. The query's daemon thread
    therefore stays until the server answers or the process ends. Errors of the query are logged.
    """

    def __init__(self, server: str, query: Callable[[], T]) -> None:
        self._server = server
        self._query = query
        self._lock = threading.Lock()
        self._running: Future[T] | None = None
        self._fault: str | None = None

    def result(self, timeout_seconds: float) -> T | None:
        """Return the result; None if the query fails or takes longer than this."""
        with self._lock:
            running = self._running
            if running is None:
                running = self._running = Future()
                threading.Thread(
                    target=self._run, args=(running,), name=self._server, daemon=True
                ).start()
        try:
            result = running.result(timeout_seconds)
        except TimeoutError:
            self._log_change(f"no answer within {timeout_seconds:g} s")
            return None
        except Exception as error:
            self._log_change(plain(error))
            return None
        self._log_change(None)
        return result

    def _run(self, running: Future[T]) -> None:
        try:
            result = self._query()
        except Exception as error:
            self._finish()
            running.set_exception(error)
        else:
            self._finish()
            running.set_result(result)

    def _finish(self) -> None:
        with self._lock:
            self._running = None

    def _log_change(self, fault: str | None) -> None:
        """Log the start and the end of an outage, not every failed query."""
        with self._lock:
            before, self._fault = self._fault, fault
        if fault is not None and before is None:
            log.warning("%s: %s", self._server, fault)
        elif fault is None and before is not None:
            log.warning("%s: answers again", self._server)
