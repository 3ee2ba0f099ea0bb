"""The heartbeat of a training run: a thread that renews the run's lease while the run computes.

The thread does not interrupt the computation; the run calls `Heartbeat.check` between steps.
"""

import threading
import time
from typing import Final

from sqlalchemy import Engine

from db.errors import is_unreachable, plain
from db.registry import training_runs
from db.registry.training_runs import OpenRun
from training.errors import DatabaseUnreachableError, RunLeaseLostError, RunTooLongError

#: Seconds between two checks of the lease and of the run's stage.
_STAGE_SECONDS: Final = 1.0


class Heartbeat:
    """Context manager that renews a run's lease and detects its loss.

    The lease is renewed after a third of its duration. If the database is unreachable, renewal is
    tried again every second. If a run exceeds its time limit, its lease is no longer renewed, so
    that other processes can close the run.
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

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        # With a timeout, because a query to a frozen database must not prevent the process's exit.
        self._thread.join(_STAGE_SECONDS)

    def report_stage(self, stage: str) -> None:
        """Set the current stage, which is written to the run's row within a second."""
        self._stage = stage

    def check(self) -> None:
        """Return normally if the run may continue.

        Raises `RunLeaseLostError` if the run was closed, `RunTooLongError` if it exceeded its time
        limit, and `DatabaseUnreachableError` if the lease could not be renewed in time. Any other
        error of a renewal is raised again.
        """
        moment = time.monotonic()
        if self._lost:
            raise RunLeaseLostError(
                f"training run {self._run.id} stops: its lease of {self._lease_seconds:.0f} s "
                "expired, and it was closed; its results are discarded"
            )
        if moment - self._began > self._time_limit_seconds:
            raise RunTooLongError(
                f"training run {self._run.id} stops: it exceeded its time limit of "
                f"{self._time_limit_seconds:.0f} s (CRATESORT_TRAINING_TIME_LIMIT_SECONDS)"
            )
        if self._fault is not None and not is_unreachable(self._fault):
            raise self._fault
        if moment - self._renewed > self._lease_seconds:
            why = "no response" if self._fault is None else plain(self._fault)
            raise DatabaseUnreachableError(
                f"training run {self._run.id} stops: its lease could not be renewed for "
                f"{self._lease_seconds:.0f} s because the database is unreachable ({why})"
            )

    def _beat(self) -> None:
        written = None
        while not self._ended.wait(_STAGE_SECONDS):
            began = time.monotonic()
            if began - self._began > self._time_limit_seconds:
                return
            stage = self._stage
            if stage == written and began - self._renewed < self._lease_seconds / 3:
                continue
            try:
                is_renewed = self._renew(stage)
            except Exception as error:
                self._fault = error
                if is_unreachable(error):
                    continue
                return
            if not is_renewed:
                self._lost = True
                return
            # Use the time before the query, so that the lease lasts at least as long as we assume.
            self._renewed, self._fault, written = began, None, stage

    def _renew(self, stage: str | None) -> bool:
        with self._database.begin() as connection:
            return training_runs.heartbeat(
                connection,
                self._run.id,
                self._run.token,
                lease_seconds=self._lease_seconds,
                stage=stage,
            )
