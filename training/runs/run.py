"""Perform a training run: open its row, renew its lease, and write its result in one transaction.

The bundle, its promotion, the verdict and the report are written together or not at all. A killed
run leaves only its row, which other processes close when its lease has expired.

This module can be imported without the ``[training]`` extra.
"""

import contextlib
import gzip
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import FrameType
from typing import Final, Protocol

from sqlalchemy import Connection, Engine

from classifier.bundle.manifest import installed_libraries
from classifier.files.paths import printable
from db.dialects import clock
from db.engine import reading, reset_connections
from db.errors import is_unreachable, plain
from db.registry import bundles, training_runs
from db.registry.training_runs import NotOpened, OpenRun, TrainingRun
from db.states import RunTrigger, RunVerdict
from training.errors import DatabaseUnreachableError, RunLeaseLostError, RunNotOpenedError
from training.phase_progress import Progress, no_progress
from training.runs.lease_heartbeat import Heartbeat
from training.runs.result import RunResult

#: Seconds between two attempts to write a run's result to an unreachable database.
_RETRY_SECONDS: Final = 1.0

#: Exit status that a shell reports for a program ended by SIGTERM.
_TERMINATED: Final = 128 + signal.SIGTERM

#: Longest reason of a failed run; an error of TensorFlow may contain a whole graph.
_REASON_CHARACTERS: Final = 1_000


@dataclass(frozen=True)
class FinishedRun:
    """A finished run: its row, and the result of its work.

    Use the verdict of the row. It differs from the result's if the champion changed during the run,
    because the new champion is then not replaced.
    """

    run: TrainingRun
    result: RunResult


class RunWork(Protocol):
    """The work of a run; it calls `progress` between steps, which may raise to stop the work."""

    def __call__(
        self, database: Engine, *, version: str, seed: int, progress: Progress
    ) -> RunResult:
        """Compute and return a result with this version."""
        ...


def perform(
    database: Engine,
    work: RunWork,
    *,
    trigger: RunTrigger,
    slot: str | None,
    seed: int,
    lease_seconds: float,
    time_limit_seconds: float,
    progress: Progress = no_progress,
) -> FinishedRun:
    """Perform `work` as a training run.

    `slot` identifies a scheduled run; it is None for a run started by hand. Without a heartbeat for
    `lease_seconds` the run's lease expires. `progress` gets the progress of the work.

    Raises RunNotOpenedError if another run is running or the slot was used; nothing was started.
    Raises RunLeaseLostError if the lease expired and the run was closed; no result is kept.
    Raises DatabaseUnreachableError if the database was unreachable for longer than the lease.
    Raises RunTooLongError if the time limit was exceeded.
    Any other exception of `work` is raised again, after the run was closed as failed with a reason
    of one line.
    """
    with database.begin() as connection:
        opened = training_runs.open_run(
            connection,
            slot=slot,
            trigger=trigger,
            lease_seconds=lease_seconds,
            holder=f"{socket.gethostname()[:200]}:{os.getpid()}",
            seed=seed,
            libraries=installed_libraries(),
        )
        if isinstance(opened, NotOpened):
            raise _not_opened(connection, opened, slot)
        version = f"{clock(connection):%Y%m%d-%H%M%S}"
    try:
        with (
            _terminated_as_exit(),
            Heartbeat(
                database,
                opened,
                lease_seconds=lease_seconds,
                time_limit_seconds=time_limit_seconds,
            ) as heartbeat,
        ):

            def report(phase: str, done: int, total: int) -> None:
                heartbeat.check()
                heartbeat.report_stage(f"{phase}: {done} of {total}")
                progress(phase, done, total)

            result = work(database, version=version, seed=seed, progress=report)
            heartbeat.check()
            heartbeat.report_stage("writing the result")
            return _finish(database, opened, result, patience_seconds=lease_seconds)
    except DatabaseUnreachableError:
        raise  # do not wait for the database again; the run is closed when its lease expires
    except BaseException as error:
        if not isinstance(error, Exception):
            reset_connections(database)
        _close_failed(database, opened, _reason(error))
        raise


def _not_opened(connection: Connection, why: NotOpened, slot: str | None) -> RunNotOpenedError:
    if why == NotOpened.SLOT_USED:
        return RunNotOpenedError(
            f"the training run for {slot} was already started; this message is a duplicate"
        )
    latest = training_runs.latest(connection)
    details = "" if latest is None else f" (number {latest.id}, on {latest.holder})"
    return RunNotOpenedError(
        f"another training run is in progress{details}; `cratesort status` shows its progress"
    )


def _finish(
    database: Engine, run: OpenRun, result: RunResult, *, patience_seconds: float
) -> FinishedRun:
    """Write the result in one transaction; retry for a while if the database is unreachable."""
    report = None
    if result.report_html is not None:
        report = gzip.compress(result.report_html.encode("utf-8", "backslashreplace"), mtime=0)
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            with database.begin() as connection:
                _write(connection, run, result, report)
            with reading(database) as connection:
                row = training_runs.get(connection, run.id)
            if row is None:
                raise LookupError(f"the row of training run {run.id} is missing in the database")
            return FinishedRun(row, result)
        except Exception as error:
            if not is_unreachable(error):
                raise
            if time.monotonic() > deadline:
                raise DatabaseUnreachableError(
                    f"training run {run.id} could not write its result for "
                    f"{patience_seconds:.0f} s and discarded it: {plain(error)}"
                ) from error
        time.sleep(_RETRY_SECONDS)


def _write(connection: Connection, run: OpenRun, result: RunResult, report: bytes | None) -> None:
    # First, so that no other process promotes a model between our read and our promotion.
    bundles.lock_promotions(connection)
    champion = bundles.champion_version(connection)
    if result.promote and champion != run.champion:
        # The challenger was compared with another champion than the one in use.
        result = replace(
            result,
            verdict=RunVerdict.STORED,
            reason=f"not promoted: {champion or 'the starter'} was promoted while this run "
            f"compared itself with {run.champion or 'the starter'}. {result.reason}",
        )
    closed = training_runs.close_done(
        connection,
        run.id,
        run.token,
        verdict=result.verdict,
        reason=result.reason,
        model_version=None if result.bundle is None else result.version,
        sizes=result.sizes,
        metrics=result.metrics,
        report=report,
        last_label_id=result.last_label_id,
    )
    if not closed:
        if training_runs.was_completed_by(connection, run.id, run.token):
            return  # an earlier attempt was committed, but its confirmation was lost
        raise RunLeaseLostError(
            f"training run {run.id} was closed before its end because its lease expired; its "
            "results are discarded"
        )
    if result.bundle is not None:
        bundles.store(
            connection, version=result.version, bundle=result.bundle, metrics=result.metrics
        )
    if result.promote:
        bundles.promote(
            connection, result.version, by=f"training run {run.id}", reason=result.reason
        )


def _close_failed(database: Engine, run: OpenRun, reason: str) -> None:
    try:
        with database.begin() as connection:
            training_runs.close_failed(connection, run.id, run.token, reason=reason)
    except Exception as error:
        if not is_unreachable(error):
            raise
        # The run is closed when its lease expires.


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted with Ctrl-C"
    if isinstance(error, SystemExit):
        return "interrupted: the process received a stop signal"
    if isinstance(error, MemoryError):
        return "out of memory"
    return printable(plain(error))[:_REASON_CHARACTERS]


@contextlib.contextmanager
def _terminated_as_exit() -> Iterator[None]:
    """Turn SIGTERM into `SystemExit`, so that the run is closed, unless a handler is installed."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield  # a worker's child has its own handler with the same effect
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(_TERMINATED)

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
