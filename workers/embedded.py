"""Work in the calling process: no broker, the same batches, the same functions.

The terminal program that classifies here may be killed at any file. Its note (see
`workers.recovery.crash_recovery`) tells the next run which; that file is then read in a process of
its own before this one touches it, so that one bad file cannot end every run.
"""

import logging
import time
import uuid
from collections.abc import Callable

from classifier.errors import BundleError, CratesortError
from classifier.files.paths import printable
from db.engine import reading
from db.errors import plain
from db.queue import ledger, recovery
from db.queue.batch import QueuedBatch
from workers.classification import classify_batch
from workers.context import WorkContext
from workers.faults import Fault
from workers.library_roots import LibraryRoot
from workers.recovery.crash_recovery import recover_batches
from workers.recovery.expired_leases import return_expired
from workers.recovery.failure_policy import Ending, carry_out, decide
from workers.recovery.isolated_read import IsolatedRead, read_isolated

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
#: Longer than a run takes to get to its own batches.
_SET_ASIDE_SECONDS = 60.0


def drain(
    context: WorkContext,
    *,
    ingest_id: int | None = None,
    on_batch: Callable[[], None] = lambda: None,
) -> None:
    """Classify every open batch; with `ingest_id`, return when that ingest's are done.

    Batches another process holds are waited for: their leases end if it dies.

    Parameters
    ----------
    ingest_id : int, optional
        Wait for this ingest's last batch, wherever it is worked on.
    on_batch : callable
        Called after each batch, for a progress display.

    Raises
    ------
    Exception
        The world's faults only, and of other ingests' batches only the database's; our own are
        logged, and the batch that met one is tried again in smaller parts until a single sound
        carries the blame.
    """
    told: set[str] = set()
    while True:
        with context.database.begin() as connection:
            batch_id = ledger.next_open(connection)
        if batch_id is not None:
            try:
                _work_on(batch_id, context)
            except (OSError, CratesortError) as error:
                if isinstance(error, BundleError) or _ingest_of(context, batch_id) == ingest_id:
                    raise
                _set_aside(batch_id, context, plain(error), told)
            on_batch()
            continue
        if ingest_id is None or not _is_open(context, ingest_id):
            return
        time.sleep(_POLL_SECONDS)
        recover_batches(context.database, context.settings)
        return_expired(context.database, context.settings)
        on_batch()


def _work_on(batch_id: int, context: WorkContext) -> None:
    # Outside the try: what cannot be loaded now cannot be loaded for the next batch either.
    context.model.current(context.database)
    try:
        with reading(context.database) as connection:
            suspect = recovery.suspect(connection, batch_id)
        if suspect is None or _survives_trial(suspect, context):
            classify_batch(batch_id, context)
    except Exception as error:
        if Fault.of(error) is not Fault.BUG:
            raise
        log.exception(
            "batch %d: cratesort itself failed: %s",
            batch_id,
            plain(error),
            extra={"batch": batch_id},
        )


def _ingest_of(context: WorkContext, batch_id: int) -> int:
    with reading(context.database) as connection:
        return ledger.ingest_of(connection, batch_id)


def _set_aside(batch_id: int, context: WorkContext, why: str, told: set[str]) -> None:
    """Leave a batch of another ingest for later; who asked for this one does not wait for it."""
    with context.database.begin() as connection:
        ledger.defer(connection, batch_id, seconds=_SET_ASIDE_SECONDS)
    if why not in told:
        told.add(why)
        log.warning("sounds of another ingest stay in the ledger: %s", why)


def _is_open(context: WorkContext, ingest_id: int) -> bool:
    with reading(context.database) as connection:
        return ledger.has_open_batches(connection, ingest_id)


def _survives_trial(suspect: QueuedBatch, context: WorkContext) -> bool:
    """Read a suspected sound in another process; close its batch when that one dies."""
    settings, path = context.settings, suspect.paths[0]
    root = LibraryRoot.named(suspect.root, settings)
    end = read_isolated(root, path, timeout_seconds=settings.time_limit_seconds)
    if end is IsolatedRead.SURVIVED:
        return True
    ending = Ending.TIMED_OUT if end is IsolatedRead.TIMED_OUT else Ending.CRASHED
    with context.database.begin() as connection:
        claimed = ledger.claim(
            connection,
            suspect.id,
            token=uuid.uuid4().hex,
            worker=context.marker.worker,
            lease_seconds=settings.lease_seconds,
        )
        if claimed is not None:
            carry_out(decide(ending, was_reading=True), connection, claimed, settings)
    log.warning("%s: read alone, it %s", printable(path), end)
    return False
