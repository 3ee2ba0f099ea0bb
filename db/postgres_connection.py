"""A connection to PostgreSQL that is closed when the server becomes unresponsive.

An open connection may never answer: the server is frozen, or a firewall dropped its state. TCP
options only detect lost packets, and the error of PostgreSQL's own time limits never arrives. So
the client has a time limit, too.
"""

import math
import time
from collections.abc import Generator
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen

#: Added to PostgreSQL's limit for a statement, so that its error has time to arrive.
_MARGIN_SECONDS: Final = 5.0

T = TypeVar("T")


class UnresponsiveServerError(psycopg.OperationalError):
    """The server sent nothing for longer than any statement may take."""


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that closes itself and raises UnresponsiveServerError after a timeout.

    - `response_timeout_seconds`: the longest time without any data while a response is due. Each
      arrival of data restarts the time, so a slow response is not cut off.
    """

    response_timeout_seconds = math.inf

    @classmethod
    def open(cls, statement_seconds: float, *args: Any, **parameters: Any) -> "BoundedConnection":
        """Connect to a server that ends a statement after `statement_seconds`; see `connect`."""
        connection = cls.connect(*args, **parameters)
        connection.response_timeout_seconds = statement_seconds + _MARGIN_SECONDS
        return connection

    def wait(self, gen: PQGen[T], *args: Any, **kwargs: Any) -> T:
        """Wait for the server; every psycopg method that needs the server calls this one."""
        return super().wait(self._bounded(gen), *args, **kwargs)

    def _bounded(self, gen: PQGen[T]) -> Generator[Any, Any, T]:
        # psycopg resumes a generator when its socket is ready; else ten times a second, with 0.
        last_data_at = time.monotonic()
        try:
            awaited = next(gen)
            while True:
                ready = yield awaited
                if ready:
                    last_data_at = time.monotonic()
                elif time.monotonic() - last_data_at > self.response_timeout_seconds:
                    self.pgconn.finish()
                    raise UnresponsiveServerError(
                        f"the server sent no data for {self.response_timeout_seconds:g} s"
                    )
                awaited = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result
