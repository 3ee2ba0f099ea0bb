"""The task ``tasks.classify``: one message, one batch."""

import logging

from celery.exceptions import Retry

from db.errors import is_unreachable, plain
from db.queue import ledger
from workers import child_process, classification
from workers.celery_ext.app import CLASSIFY_TASK, app
from workers.celery_ext.dispatch import MESSAGE_VERSION, dispatch
from workers.context import WorkContext
from workers.errors import BatchReturnedError, DataFolderError, UnclaimedError
from workers.faults import Fault
from workers.logging_setup import BatchLogger
from workers.memory import release_memory
from workers.settings import load_settings

log = logging.getLogger(__name__)


@app.task(name=CLASSIFY_TASK)  # type: ignore[untyped-decorator]  # Celery publishes no types
def classify(
    version: int,
    batch_id: int,
    root: str,
    paths: list[str],  # noqa: ARG001
) -> classification.BatchOutcome | None:
    """Classify the ledger's batch `batch_id`, then publish pending batches.

    Returns the outcome that Flower shows. Raises Retry (a Celery state) when the batch was returned
    to the ledger, or could not be claimed.

    If this host cannot read the library root `root`, the batch is left to other workers. `paths`
    are for display only (Flower, logs). The files to read come from the ledger: a forged or stale
    message can make a worker claim a batch early, but never read another file.
    """
    if version != MESSAGE_VERSION:
        # The producer is newer, during an upgrade. The batch stays queued, and sweeps publish it
        # again until a worker that knows the version gets it.
        BatchLogger(log, batch_id).warning(
            "skipped: message version %d is not supported here; it stays queued for a newer worker",
            version,
        )
        return None
    try:
        context = child_process.context()
    except DataFolderError as error:
        # Requeuing it now would only bring it back here: no other process learns of the cause.
        seconds = load_settings().stale_seconds
        log_batch = BatchLogger(log, batch_id)
        log_batch.error("not processed: %s; it is published again in %g s", error, seconds)
        raise Retry(exc=BatchReturnedError(str(error))) from None
    try:
        if not child_process.database_answers():
            raise UnclaimedError("the database is not available")
        if not child_process.has_root(root):
            _leave_to_others(batch_id, context)
            raise BatchReturnedError(
                f"the library root {root[:64]!r} is not available on this host"
            )
        outcome = classification.classify_batch(batch_id, context)
    except Exception as error:
        if Fault.of(error) is Fault.BUG:
            raise
        child_process.report(error, root)
        BatchLogger(log, batch_id).error("requeued, no attempt counted: %s", plain(error))
        # No retry is sent from here: the batch is published again from the ledger when it is due.
        # If it may not have been claimed, its message goes back to Redis instead.
        unclaimed = isinstance(error, UnclaimedError) or is_unreachable(error)
        kind = UnclaimedError if unclaimed else BatchReturnedError
        raise Retry(exc=kind(plain(error))) from None
    try:
        dispatch(app, context.database, context.settings)
    except Exception as error:
        if not is_unreachable(error):
            raise
        child_process.report(error, root)
        log.warning("the next batches were not published: %s; a sweep publishes them", plain(error))
    release_memory()
    return outcome


def _leave_to_others(batch_id: int, context: WorkContext) -> None:
    """Make a batch pending again and publish it in the queue of its root."""
    with context.database.begin() as connection:
        ledger.unqueue(connection, [batch_id])
    dispatch(app, context.database, context.settings)
