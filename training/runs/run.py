"""A training run from its row to its verdict: opened, kept alive, ended in one transaction.

A run that is killed leaves a row that other processes close when its lease ends, and nothing else:
the bundle, its promotion, the verdict and the report are written together or not at all.

Importing this module needs no ``[training]`` extra.
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
from db.engine import let_go, reading
from db.errors import is_away, plain
from db.registry import bundles, training_runs
from db.registry.training_runs import NotOpened, OpenRun, TrainingRun
from db.states import RunTrigger, RunVerdict
from training.errors import DatabaseAwayError, RunLeaseLostError, RunNotOpenedError
from training.phase_progress import Progress, no_progress
from training.runs.lease_heartbeat import Heartbeat
from training.runs.result import RunResult

#: Between two tries to write a run's end to a database that is away.
_RETRY_SECONDS: Final = 1.0

#: As a shell reports a program ended by SIGTERM.
_TERMINATED: Final = 128 + signal.SIGTERM

#: TensorFlow's errors may hold a whole graph.
_REASON_CHARACTERS: Final = 1_000


@dataclass(frozen=True)
class FinishedRun:
    """A run that ended: its row, and what the work computed.

    The row's verdict counts: a champion that changed during the run is not replaced.
    """

    run: TrainingRun
    result: RunResult


class RunWork(Protocol):
    """What a run computes; it calls `progress` between two steps, which may raise to stop it."""

    def __call__(
        self, database: Engine, *, version: str, seed: int, progress: Progress
    ) -> RunResult:
        """Return a result of this version."""
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
    """Do a piece of work as a training run.

    `slot` is the schedule's moment, None by hand. Without a heartbeat for `lease_seconds` the run
    counts as dead. `progress` is called with what the work reports.

    Raises RunNotOpenedError: another run is running, or the slot was used; nothing was begun.
    Raises RunLeaseLostError: the run counted as dead; nothing of it was kept.
    Raises DatabaseAwayError: the database was away for longer than the lease.
    Raises RunTooLongError when the time limit is over.
    Raises BaseException: whatever ended the work; the run is closed as failed, with one line that
    says why.
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
    except DatabaseAwayError:
        raise  # closing the row would wait for the database again; the lease closes the run
    except BaseException as error:
        if not isinstance(error, Exception):
            let_go(database)
        _close_failed(database, opened, _reason(error))
        raise


def _not_opened(connection: Connection, why: NotOpened, slot: str | None) -> RunNotOpenedError:
    if why == NotOpened.SLOT_USED:
        return RunNotOpenedError(f"the training run of {slot} has been already; this is a copy")
    latest = training_runs.latest(connection)
    holder = "" if latest is None else f" (number {latest.id}, by {latest.holder})"
    return RunNotOpenedError(
        f"a training run is running{holder}; `cratesort status` shows how far it is"
    )


def _finish(
    database: Engine, run: OpenRun, result: RunResult, *, patience_seconds: float
) -> FinishedRun:
    """Write everything in one transaction; retry for a while if the database is away."""
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
                raise LookupError(f"training run {run.id} vanished from the database")
            return FinishedRun(row, result)
        except Exception as error:
            if not is_away(error):
                raise
            if time.monotonic() > deadline:
                raise DatabaseAwayError(
                    f"training run {run.id} could not write its result for "
                    f"{patience_seconds:.0f} s, nothing of it is kept: {plain(error)}"
                ) from error
        time.sleep(_RETRY_SECONDS)


def _write(connection: Connection, run: OpenRun, result: RunResult, report: bytes | None) -> None:
    # First, so that no one else promotes between our look at the champion and our promotion.
    bundles.lock_promotions(connection)
    champion = bundles.champion_version(connection)
    if result.promote and champion != run.champion:
        # The challenger was compared with another champion than the one in use.
        result = replace(
            result,
            verdict=RunVerdict.STORED,
            reason=f"not promoted: {champion or 'the starter'} was promoted while this run "
            f"measured itself against {run.champion or 'the starter'}. {result.reason}",
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
        if training_runs.was_done_by(connection, run.id, run.token):
            return  # an earlier try committed, and its confirmation was lost
        raise RunLeaseLostError(
            f"training run {run.id} was closed before its end, because its lease had ended; "
            "nothing of it is kept"
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
        if not is_away(error):
            raise
        # The end of its lease closes it.


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted: by Ctrl-C"
    if isinstance(error, SystemExit):
        return "interrupted: its process was told to stop"
    if isinstance(error, MemoryError):
        return "out of memory"
    return printable(plain(error))[:_REASON_CHARACTERS]


@contextlib.contextmanager
def _terminated_as_exit() -> Iterator[None]:
    """Turn SIGTERM into an exit that closes the run, unless it is handled already."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield  # a worker's child has a handler of its own, with the same effect
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(_TERMINATED)

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
