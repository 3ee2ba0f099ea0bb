"""A connection to PostgreSQL that is given up when it falls silent.

An open connection may answer nothing for ever: its server is frozen, or a firewall between the two
forgot it. Options of TCP notice lost packets only, and PostgreSQL's own limits end a statement in
the server, whose error never arrives. So the client counts, too.
"""

import math
import time
from collections.abc import Generator
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen

#: PostgreSQL ends a statement at its limit and reports that; with this much more to arrive.
_MARGIN_SECONDS: Final = 5.0

T = TypeVar("T")


class SilentConnectionError(psycopg.OperationalError):
    """Nothing came from the server for longer than any statement may take."""


class BoundedConnection(psycopg.Connection[Any]):
    """Closes itself, and raises SilentConnectionError, where psycopg would go on waiting.

    - `silence_seconds`: how long nothing may arrive while an answer is due; an answer that arrives
      slowly is waited for.
    """

    silence_seconds = math.inf

    @classmethod
    def open(cls, statement_seconds: float, *args: Any, **parameters: Any) -> "BoundedConnection":
        """Connect as psycopg does to a server that ends a statement after `statement_seconds`."""
        connection = cls.connect(*args, **parameters)
        connection.silence_seconds = statement_seconds + _MARGIN_SECONDS
        return connection

    def wait(self, gen: PQGen[T], *args: Any, **kwargs: Any) -> T:
        """Wait as psycopg does: each of its methods that needs the server comes through here."""
        return super().wait(self._bounded(gen), *args, **kwargs)

    def _bounded(self, gen: PQGen[T]) -> Generator[Any, Any, T]:
        # psycopg resumes a generator when its socket is ready, and ten times a second with 0.
        heard = time.monotonic()
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    heard = time.monotonic()
                elif time.monotonic() - heard > self.silence_seconds:
                    self.pgconn.finish()
                    raise SilentConnectionError(
                        f"the server sent nothing for {self.silence_seconds:g} s"
                    )
                wanted = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result
