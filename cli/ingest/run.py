"""Seeing a submission through: classified in this process, or by the workers and waited for."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from cli.console.exit_codes import Exit
from cli.console.interrupts import exit_at_second_interrupt
from cli.console.output import on_terminal, tell
from cli.console.session import opened_database
from workers.logging_setup import set_up_logging

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from sqlalchemy import Engine

    from db.reporting.ingest_progress import IngestProgress
    from tasks.producer.submission import Submission
    from workers.settings import Settings

_POLL_SECONDS: Final = 0.25
#: After this long without a claim, a waiting person is told what is missing.
_PATIENCE_SECONDS: Final = 10.0

#: Writes the work to the ledger, telling how far it is, and returns what it wrote.
Submit: TypeAlias = "Callable[[Callable[[Submission], None]], Submission]"
#: What was written, and how it ended; None where nobody waited.
Ended: TypeAlias = "tuple[Submission, IngestProgress | None]"


@dataclass(slots=True)
class Run:
    """One submission, from the first file found to the last row.

    Attributes
    ----------
    wait : bool
        Whether to return only when every file has its row.
    started : float
        When the command began, in seconds of the monotonic clock.
    """

    settings: "Settings"
    database: "Engine"
    wait: bool
    started: float = field(default_factory=time.monotonic)

    @classmethod
    @contextmanager
    def begin(cls, *, wait: bool | None) -> Iterator["Run"]:
        """Read the settings, open the database for the block, and set up what is logged.

        Parameters
        ----------
        wait : bool or None
            None: wait in process and on a terminal.
        """
        from workers.settings import load_settings

        started = time.monotonic()
        settings = load_settings()
        set_up_logging("WARNING" if settings.log_level == "INFO" else settings.log_level)
        # That Redis is away is said below, once and in words for a person.
        logging.getLogger("workers.celery_ext.dispatch").setLevel("ERROR")
        if wait is None:
            wait = settings.in_process or on_terminal()
        with opened_database(settings) as (_, database):
            yield cls(settings, database, wait, started)

    def see_through(self, submit: Submit) -> Ended:
        """Submit, and see what was submitted to its end if asked to."""
        from cli.console.progress import sounds_progress

        with exit_at_second_interrupt(), sounds_progress() as progress:
            if self.settings.in_process:
                return self._here(submit, progress)
            return self._through_queue(submit, progress)

    def _submit(self, submit: Submit, progress: "Progress") -> "Submission":
        finding = progress.add_task("finding sounds", total=None)
        submission = submit(lambda state: progress.update(finding, completed=state.found))
        progress.remove_task(finding)
        return submission

    def _here(self, submit: Submit, progress: "Progress") -> Ended:
        """Classify in this process, after what earlier runs left unfinished."""
        from db.queue import ledger
        from workers.context import WorkContext
        from workers.memory import collect_garbage_rarely
        from workers.recovery.crash_recovery import recover_batches

        collect_garbage_rarely()
        context = WorkContext.create(self.settings, self.database)
        try:
            recover_batches(self.database, self.settings)
            with self.database.begin() as connection:
                ledger.recall_deferred(connection)
            left = self._open_sounds()
            if left:
                from workers import embedded

                tell(f"finishing {left:,} sounds that an earlier run left in the ledger")
                task = progress.add_task("finishing an earlier run", total=left)
                embedded.drain(
                    context,
                    on_batch=lambda: progress.update(task, completed=left - self._open_sounds()),
                )
                progress.remove_task(task)
                stay = self._open_sounds()
                tell(f"{stay:,} of them stay there" if stay else "done with the earlier run")
            submission = self._submit(submit, progress)
            if not self.wait:
                return submission, None
            # What classifies is loaded when there is something to classify.
            if submission.enqueued or self._open_sounds():
                from workers import embedded

                task = progress.add_task("classifying", total=submission.enqueued)
                embedded.drain(
                    context,
                    ingest_id=submission.ingest_id,
                    on_batch=lambda: self._show(progress, task, submission.ingest_id),
                )
            return submission, self._progress_of(submission.ingest_id)
        except KeyboardInterrupt:
            progress.stop()
            tell(
                f"stopped; {self._open_sounds():,} sounds wait in the ledger, and the next "
                "`cratesort ingest` goes on with them"
            )
            sys.exit(Exit.INTERRUPTED)
        finally:
            context.close()

    def _through_queue(self, submit: Submit, progress: "Progress") -> Ended:
        """Hand over to the workers, and wait for them if asked to."""
        submission = self._submit(submit, progress)
        if submission.broker_away is not None:
            tell(
                f"warning: Redis cannot be reached ({submission.broker_away}). The ledger has the "
                "work; it will be published when Redis is back."
            )
        if not self.wait:
            return submission, None
        task = progress.add_task("classifying", total=submission.enqueued)
        try:
            ended = self._wait(submission, progress, task)
        except KeyboardInterrupt:
            tell(
                "stopped waiting; what is in the ledger is done by whichever workers run. "
                "`cratesort status` shows how far they are."
            )
            sys.exit(Exit.INTERRUPTED)
        return submission, ended

    def _wait(
        self, submission: "Submission", progress: "Progress", task: "TaskID"
    ) -> "IngestProgress":
        sweep: Callable[[], None] | None = None
        swept = moved = time.monotonic()
        told = False
        open_before = -1
        while True:
            state = self._progress_of(submission.ingest_id)
            progress.update(task, completed=state.classified + state.failed)
            if state.finished:
                return state
            moment = time.monotonic()
            if state.open_batches != open_before:
                open_before, moved = state.open_batches, moment
            elif moment - moved > _PATIENCE_SECONDS and not told:
                told = True
                why = (
                    "Redis is away, so no worker hears of the work"
                    if submission.broker_away
                    else "is a worker running? Start one with `cratesort worker`"
                )
                tell(
                    f"nothing was finished for {_PATIENCE_SECONDS:.0f} s: {why}; "
                    "`cratesort doctor` says more."
                )
            if moment - swept > self.settings.sweep_seconds:
                # Who waits may as well keep house: no work is lost where nobody runs beat.
                swept = moment
                sweep = sweep or self._sweeper()
                sweep()
            time.sleep(_POLL_SECONDS)

    def _sweeper(self) -> Callable[[], None]:
        # Loaded when it is time for it: most ingests have ended by then.
        from db.errors import plain
        from workers.celery_ext.app import build_app
        from workers.faults import Fault
        from workers.recovery.ledger_sweep import sweep

        app = build_app(self.settings)

        def sweep_once() -> None:
            try:
                sweep(app, self.database, self.settings)
            except Exception as error:
                if Fault.of(error) is not Fault.TRANSIENT:
                    raise
                tell(f"warning: {plain(error)}")

        return sweep_once

    def _show(self, progress: "Progress", task: "TaskID", ingest_id: int) -> None:
        state = self._progress_of(ingest_id)
        progress.update(task, completed=state.classified + state.failed)

    def _progress_of(self, ingest_id: int) -> "IngestProgress":
        from db.engine import reading
        from db.reporting.ingest_progress import progress

        with reading(self.database) as connection:
            return progress(connection, ingest_id=ingest_id)[0]

    def _open_sounds(self) -> int:
        from db.engine import reading
        from db.reporting.counts import open_sounds

        with reading(self.database) as connection:
            return open_sounds(connection)
