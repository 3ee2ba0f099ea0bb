"""Classifying in the calling process: without a broker, with the same batches and functions.

The process may crash at any file. Its crash marker records which; the next run first reads that
file in a separate process, so that one bad file cannot crash every run.
"""

import logging
import time
import uuid
from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine

from classifier.errors import BundleError, CratesortError
from classifier.files.paths import printable
from db.engine import reading
from db.errors import plain
from db.queue import ledger, recovery
from db.queue.batch import QueuedBatch
from db.reporting.counts import open_sounds
from workers.context import WorkContext
from workers.errors import LibraryRootAwayError
from workers.faults import Fault
from workers.library_roots import LibraryRoot
from workers.logging_setup import BatchLogger
from workers.memory import collect_garbage_rarely
from workers.recovery.crash_recovery import recover_batches
from workers.recovery.expired_leases import return_expired
from workers.recovery.failure_policy import Ending, carry_out, decide
from workers.settings import Settings

log = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.2
#: Longer than a run takes to get to its own batches.
_DEFER_SECONDS: Final = 60.0


class EmbeddedRun:
    """Classifies in this process: `prepare` once, then `drain` whenever there is work."""

    def __init__(self, settings: Settings, database: Engine) -> None:
        collect_garbage_rarely()
        self._settings = settings
        self._database = database
        self._context = WorkContext.create(settings, database)
        self._reasons_logged: set[str] = set()

    def prepare(self) -> int:
        """Requeue the batches that earlier runs left; return how many sounds are waiting."""
        recover_batches(self._database, self._settings)
        with self._database.begin() as connection:
            ledger.recall_deferred(connection)
        return self.open_sounds()

    def open_sounds(self) -> int:
        """Return how many sounds wait in the ledger."""
        with reading(self._database) as connection:
            return open_sounds(connection)

    def drain(
        self, *, ingest_id: int | None = None, on_batch: Callable[[], None] = lambda: None
    ) -> None:
        """Classify every open batch; with `ingest_id`, return when that ingest is complete.

        Waits for batches of that ingest that another process holds; if it dies, the leases expire.

        Raises transient and operator faults of that ingest, and those of the database and the
        model. Other ingests' batches with a fault are postponed. Bugs are logged, and the batch is
        tried again in smaller parts.
        """
        away: LibraryRootAwayError | None = None
        while True:
            with self._database.begin() as connection:
                batch_id = ledger.next_open(connection)
            if batch_id is not None:
                try:
                    self._classify(batch_id)
                except (OSError, CratesortError) as error:
                    is_own = self._ingest_of(batch_id) == ingest_id
                    if is_own and isinstance(error, LibraryRootAwayError):
                        away = away or error  # the other batches first
                    elif is_own or isinstance(error, BundleError):
                        raise
                    self._defer(batch_id, plain(error), log_reason=not is_own)
                on_batch()
                continue
            if away is not None:
                raise away
            if ingest_id is None or not self._is_open(ingest_id):
                return
            time.sleep(_POLL_SECONDS)
            recover_batches(self._database, self._settings)
            return_expired(self._database, self._settings)
            on_batch()

    def close(self) -> None:
        """Close the database connections and the crash marker."""
        self._context.close()

    def _classify(self, batch_id: int) -> None:
        # Loads numpy and libsndfile, which a run that finds nothing new does not need.
        from workers.classification import classify_batch

        # Outside the try: a model that cannot be loaded ends the run.
        self._context.model.current(self._database)
        try:
            with reading(self._database) as connection:
                suspect = recovery.suspect(connection, batch_id)
            if suspect is None or self._survives(suspect):
                classify_batch(batch_id, self._context)
        except Exception as error:
            if Fault.of(error) is not Fault.BUG:
                raise
            BatchLogger(log, batch_id).exception(
                "internal error, counted as an attempt: %s", plain(error)
            )

    def _survives(self, suspect: QueuedBatch) -> bool:
        """Whether a suspected sound can be read in another process; if not, count an attempt."""
        from workers.recovery.isolated_read import IsolatedRead, read_isolated  # libsndfile, too

        settings, path = self._settings, suspect.paths[0]
        root = LibraryRoot.named(suspect.root, settings)
        end = read_isolated(root, path, timeout_seconds=settings.time_limit_seconds)
        if end is IsolatedRead.SURVIVED:
            return True
        ending = Ending.TIMED_OUT if end is IsolatedRead.TIMED_OUT else Ending.CRASHED
        with self._database.begin() as connection:
            claimed = ledger.claim(
                connection,
                suspect.id,
                token=uuid.uuid4().hex,
                worker=self._context.marker.worker,
                lease_seconds=settings.lease_seconds,
            )
            if claimed is not None:
                carry_out(decide(ending, was_reading=True), connection, claimed, settings)
        log.warning("%s: the reader %s in a separate process", printable(path), end)
        return False

    def _defer(self, batch_id: int, reason: str, *, log_reason: bool) -> None:
        """Postpone a batch; if `log_reason`, log each reason once."""
        with self._database.begin() as connection:
            ledger.defer(connection, batch_id, seconds=_DEFER_SECONDS)
        if log_reason and reason not in self._reasons_logged:
            self._reasons_logged.add(reason)
            log.warning("sounds of another ingest were skipped and stay in the ledger: %s", reason)

    def _ingest_of(self, batch_id: int) -> int:
        with reading(self._database) as connection:
            return ledger.ingest_of(connection, batch_id)

    def _is_open(self, ingest_id: int) -> bool:
        with reading(self._database) as connection:
            return ledger.has_open_batches(connection, ingest_id)
