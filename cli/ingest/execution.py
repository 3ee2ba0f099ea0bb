"""Submit sounds and wait for their results, classified in this process or by workers."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from cli.console.exit_codes import Exit
from cli.console.interrupts import exit_at_second_interrupt
from cli.console.output import counted, on_terminal, tell
from cli.console.session import NOT_READ, ROOT_ADVICE, opened_database
from cli.services.preflight import require_broker
from workers.logging_setup import set_up_logging

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from sqlalchemy import Engine

    from db.reporting.ingest_progress import IngestProgress
    from tasks.producer.submission import Submission
    from workers.settings import Settings

_POLL_SECONDS: Final = 0.25
#: After this long without progress, print what may be missing.
_PATIENCE_SECONDS: Final = 10.0

#: Writes the work to the ledger, reporting its progress, and returns what it wrote.
Submit: TypeAlias = "Callable[[Callable[[Submission], None]], Submission]"
#: What was written, and the final progress: None without waiting.
Outcome: TypeAlias = "tuple[Submission, IngestProgress | None]"


@dataclass(slots=True)
class Run:
    """One submission, from the first file found to the last row.

    - `wait`: whether to wait until every file has its row.
    - `started`: seconds of the monotonic clock.
    """

    settings: "Settings"
    database: "Engine"
    wait: bool
    started: float = field(default_factory=time.monotonic)

    @classmethod
    @contextmanager
    def begin(cls, *, wait: bool | None) -> Iterator["Run"]:
        """Read the settings, set up logging, and open the database for the block.

        `wait` is None: wait if this process classifies, or on a terminal.
        """
        from workers.settings import load_settings

        started = time.monotonic()
        settings = load_settings()
        set_up_logging("WARNING" if settings.log_level == "INFO" else settings.log_level)
        # `_through_queue` reports once that Redis is away.
        logging.getLogger("workers.celery_ext.dispatch").setLevel("ERROR")
        if wait is None:
            wait = settings.in_process or on_terminal()
        if not settings.in_process:
            # Fail before anything is written: few scripts would notice a warning.
            require_broker("an ingest")
        with opened_database(settings) as (_, database):
            _warn_of_absolute_paths(settings, database)
            yield cls(settings, database, wait, started)

    def submit_and_wait(self, submit: Submit) -> Outcome:
        """Submit, and wait for the results if `wait`."""
        from cli.console.progress import sounds_progress

        with exit_at_second_interrupt(), sounds_progress() as progress:
            if self.settings.in_process:
                return self._in_process(submit, progress)
            return self._through_queue(submit, progress)

    def _submit(self, submit: Submit, progress: "Progress") -> "Submission":
        finding = progress.add_task("finding sounds", total=None)
        submission = submit(lambda state: progress.update(finding, completed=state.found))
        progress.remove_task(finding)
        return submission

    def _in_process(self, submit: Submit, progress: "Progress") -> Outcome:
        """Classify in this process, first the work that earlier runs left unfinished."""
        from workers.embedded import EmbeddedRun

        embedded = EmbeddedRun(self.settings, self.database)
        try:
            queued = embedded.prepare()
            if queued:
                tell(f"classifying {counted(queued, 'sound')} queued by an earlier run")
                task = progress.add_task("finishing an earlier run", total=queued)
                embedded.drain(
                    on_batch=lambda: progress.update(
                        task, completed=queued - embedded.open_sounds()
                    )
                )
                progress.remove_task(task)
                remaining = embedded.open_sounds()
                tell(
                    f"{counted(remaining, 'sound')} of the earlier run could not be finished yet"
                    if remaining
                    else "finished the earlier run"
                )
            submission = self._submit(submit, progress)
            if not self.wait:
                return submission, None
            if submission.enqueued or embedded.open_sounds():
                task = progress.add_task("classifying", total=submission.enqueued)
                embedded.drain(
                    ingest_id=submission.ingest_id,
                    on_batch=lambda: self._show(progress, task, submission.ingest_id),
                )
            return submission, self._progress_of(submission.ingest_id)
        except KeyboardInterrupt:
            from db.engine import reset_connections

            progress.stop()
            reset_connections(self.database)
            tell(
                f"stopped with {counted(embedded.open_sounds(), 'sound')} still queued; the next "
                "`cratesort ingest` continues with them"
            )
            sys.exit(Exit.INTERRUPTED)
        finally:
            embedded.close()

    def _through_queue(self, submit: Submit, progress: "Progress") -> Outcome:
        """Submit to the workers, and wait for their results if `wait`."""
        submission = self._submit(submit, progress)
        if submission.broker_away is not None:
            tell(
                f"warning: Redis is unreachable ({submission.broker_away}). The files are queued "
                "in the database; workers are notified once Redis is reachable again."
            )
        if not self.wait:
            return submission, None
        task = progress.add_task("classifying", total=submission.enqueued)
        try:
            final = self._wait(submission, progress, task)
        except KeyboardInterrupt:
            tell(
                "stopped waiting; the workers go on with the queued files. "
                "`cratesort status` shows their progress."
            )
            sys.exit(Exit.INTERRUPTED)
        return submission, final

    def _wait(
        self, submission: "Submission", progress: "Progress", task: "TaskID"
    ) -> "IngestProgress":
        sweep: Callable[[], None] | None = None
        swept_at = progressed_at = time.monotonic()
        has_warned = False
        open_before = -1
        while True:
            state = self._progress_of(submission.ingest_id)
            progress.update(task, completed=state.classified + state.failed)
            if state.finished:
                return state
            now = time.monotonic()
            if state.open_batches != open_before:
                open_before, progressed_at = state.open_batches, now
            elif now - progressed_at > _PATIENCE_SECONDS and not has_warned:
                has_warned = True
                reason = (
                    "Redis is unreachable, so no worker is notified"
                    if submission.broker_away
                    else "is a worker running? Start one with `cratesort worker`"
                )
                tell(
                    f"no progress for {_PATIENCE_SECONDS:.0f} s: {reason}; "
                    "`cratesort doctor` checks the services."
                )
            if now - swept_at > self.settings.sweep_seconds:
                # A waiting client sweeps, too, so that no work is lost where no beat runs.
                swept_at = now
                sweep = sweep or self._sweeper()
                sweep()
            time.sleep(_POLL_SECONDS)

    def _sweeper(self) -> Callable[[], None]:
        # Load Celery only for the first sweep: most ingests end before it.
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


def _warn_of_absolute_paths(settings: "Settings", database: "Engine") -> None:
    if settings.reads_absolute_paths:
        return
    from db.engine import reading
    from db.reporting.counts import sounds_without_root

    with reading(database) as connection:
        count = sounds_without_root(connection)
    if count:
        sounds = "sound has an absolute path" if count == 1 else "sounds have absolute paths"
        tell(f"warning: {count:,} {sounds}, {NOT_READ}; {ROOT_ADVICE}")
