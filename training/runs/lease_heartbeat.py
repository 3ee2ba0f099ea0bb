"""The heartbeat of a training run: a thread that renews the run's lease while the run computes.

It never stops the computation, and is never waited for: the run asks it, between two steps, whether
it may go on.
"""

import threading
import time
from types import TracebackType
from typing import Final

from sqlalchemy import Engine

from db.errors import is_away, plain
from db.registry import training_runs
from db.registry.training_runs import OpenRun
from training.errors import DatabaseAwayError, LeaseLostError, RunTooLongError

#: The row says at most this often how far the run is.
_TELL_SECONDS: Final = 1.0


class Heartbeat:
    """Keeps a run's lease for as long as the block lasts, and says when it is lost.

    Parameters
    ----------
    database : Engine
        The thread takes a connection of its own from it.
    lease_seconds : float
        Renewed after a third of it. A database that is away is asked again every second.
    time_limit_seconds : float
        The lease of a run that takes longer is not renewed: others may take it for dead.
    """

    def __init__(
        self, database: Engine, run: OpenRun, *, lease_seconds: float, time_limit_seconds: float
    ) -> None:
        self._database = database
        self._run = run
        self._lease_seconds = lease_seconds
        self._time_limit_seconds = time_limit_seconds
        self._began = self._renewed = time.monotonic()
        self._stage: str | None = None
        self._lost = False
        self._fault: Exception | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        # Not for longer: a database that stands still would hold a process that is told to stop.
        self._thread.join(_TELL_SECONDS)

    def tell(self, stage: str) -> None:
        """Say what is being computed; the row has it within a second."""
        self._stage = stage

    def check(self) -> None:
        """Return if the run may go on.

        Raises
        ------
        LeaseLostError
            The run is closed; what it computes is no longer asked for.
        DatabaseAwayError
            The lease could not be renewed in time.
        RunTooLongError
        """
        moment = time.monotonic()
        if self._lost:
            raise LeaseLostError(
                f"training run {self._run.id} stops: it was closed, because its lease of "
                f"{self._lease_seconds:.0f} s had ended; nothing of it is kept"
            )
        if moment - self._began > self._time_limit_seconds:
            raise RunTooLongError(
                f"training run {self._run.id} stops: it has not ended within "
                f"{self._time_limit_seconds:.0f} s (CRATESORT_TRAINING_TIME_LIMIT_SECONDS)"
            )
        if self._fault is not None and not is_away(self._fault):
            raise self._fault
        if moment - self._renewed > self._lease_seconds:
            why = "no answer" if self._fault is None else plain(self._fault)
            raise DatabaseAwayError(
                f"training run {self._run.id} stops: the database could not be told for "
                f"{self._lease_seconds:.0f} s that it goes on ({why})"
            )

    def _beat(self) -> None:
        told = None
        while not self._ended.wait(_TELL_SECONDS):
            began = time.monotonic()
            if began - self._began > self._time_limit_seconds:
                return
            stage = self._stage
            if stage == told and began - self._renewed < self._lease_seconds / 3:
                continue
            try:
                held = self._renew(stage)
            except Exception as error:
                self._fault = error
                if is_away(error):
                    continue
                return
            if not held:
                self._lost = True
                return
            # From before it was asked: the lease is at least as long as we take it to be.
            self._renewed, self._fault, told = began, None, stage

    def _renew(self, stage: str | None) -> bool:
        with self._database.begin() as connection:
            return training_runs.heartbeat(
                connection,
                self._run.id,
                self._run.token,
                lease_seconds=self._lease_seconds,
                stage=stage,
            )
