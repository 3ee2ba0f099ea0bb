"""The task ``tasks.classify``: one message, one batch."""

import logging

from celery.exceptions import Retry

from db.errors import is_away, plain
from db.queue import ledger
from workers import child_process, classification
from workers.celery_ext.app import CLASSIFY_TASK, app
from workers.celery_ext.dispatch import MESSAGE_VERSION, dispatch
from workers.context import WorkContext
from workers.errors import BatchReturnedError, UnclaimedError
from workers.faults import Fault
from workers.logging_setup import BatchLogger
from workers.memory import release_memory

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
        BatchLogger(log, batch_id).warning("message version %d is not known here; left", version)
        return None
    context = child_process.context()
    try:
        if not child_process.database_answers():
            raise UnclaimedError("the database does not answer")
        if not child_process.has_root(root):
            _leave(batch_id, context)
            raise BatchReturnedError("its library root is away, or not of this host")
        outcome = classification.classify_batch(batch_id, context)
    except Exception as error:
        if Fault.of(error) is Fault.BUG:
            raise
        child_process.report(error, root)
        BatchLogger(log, batch_id).error("back to the ledger: %s", plain(error))
        # No retry is sent from here: the batch is published again from the ledger when it is due.
        # If it may not have been claimed, its message goes back to Redis instead.
        unclaimed = isinstance(error, UnclaimedError) or is_away(error)
        kind = UnclaimedError if unclaimed else BatchReturnedError
        raise Retry(exc=kind(plain(error))) from None
    try:
        dispatch(app, context.database, context.settings)
    except Exception as error:
        if not is_away(error):
            raise
        child_process.report(error, root)
        log.warning("what is next is left to a sweep: %s", plain(error))
    release_memory()
    return outcome


def _leave(batch_id: int, context: WorkContext) -> None:
    """Make a batch pending again and publish it in the queue of its root."""
    with context.database.begin() as connection:
        ledger.unqueue(connection, [batch_id])
    dispatch(app, context.database, context.settings)
