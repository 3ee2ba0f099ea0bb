"""Asking a service that may be frozen, by somebody who cannot wait for it."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from db.errors import plain

log = logging.getLogger(__name__)

T = TypeVar("T")


class Asking(Generic[T]):
    """Asks in a thread of its own, at most once at a time; whoever comes meanwhile shares it.

    A frozen server answers no timeout of a client that waits for it in C. The thread then stays
    until the server goes on, and ends with the process.

    Parameters
    ----------
    name : str
        Who is asked, for the log.
    ask : callable
        Returns the answer; whatever it raises is logged, and is no answer.
    """

    def __init__(self, name: str, ask: Callable[[], T]) -> None:
        self._name = name
        self._ask = ask
        self._lock = threading.Lock()
        self._asked: Future[T] | None = None
        self._fault: str | None = None

    def answer(self, within_seconds: float) -> T | None:
        """Return the answer, None when there is none within this time."""
        with self._lock:
            asked = self._asked
            if asked is None:
                asked = self._asked = Future()
                arguments = (asked,)
                threading.Thread(
                    target=self._run, args=arguments, name=self._name, daemon=True
                ).start()
        try:
            answer = asked.result(timeout=within_seconds)
        except TimeoutError:
            self._note(f"no answer within {within_seconds:g} s")
            return None
        except Exception as error:
            self._note(plain(error))
            return None
        self._note(None)
        return answer

    def _run(self, asked: Future[T]) -> None:
        try:
            answer = self._ask()
        except Exception as error:
            self._forget()
            asked.set_exception(error)
        else:
            self._forget()
            asked.set_result(answer)

    def _forget(self) -> None:
        with self._lock:
            self._asked = None

    def _note(self, fault: str | None) -> None:
        """Log a change: a service that is away for a night is worth two lines."""
        with self._lock:
            before, self._fault = self._fault, fault
        if fault is not None and before is None:
            log.warning("%s: %s", self._name, fault)
        elif fault is None and before is not None:
            log.warning("%s: answers again", self._name)
