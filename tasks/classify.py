"""The task ``tasks.classify``: one message, one batch."""

import logging

from celery.exceptions import Retry

from db.errors import plain
from workers import child_process, classification
from workers.celery_ext.app import CLASSIFY_TASK, app
from workers.celery_ext.dispatch import MESSAGE_VERSION, dispatch
from workers.errors import BatchReturnedError
from workers.faults import Fault
from workers.logging_setup import BatchLogger
from workers.memory import release_memory

log = logging.getLogger(__name__)


@app.task(name=CLASSIFY_TASK)  # type: ignore[untyped-decorator]  # Celery publishes no types
def classify(
    version: int,
    batch_id: int,
    root: str,  # noqa: ARG001
    paths: list[str],  # noqa: ARG001
) -> classification.BatchOutcome | None:
    """Classify the ledger's batch `batch_id`, then publish the next pending one.

    Returns what Flower shows. Raises Retry, a state of Celery, when the batch went back.

    `root` and `paths` are for display (Flower, logs). The files that are read come from the ledger:
    a forged or stale message can make a worker claim a batch early, but never read another file.
    """
    if version != MESSAGE_VERSION:
        # A newer producer during an upgrade. The batch stays queued, and sweeps publish it again
        # until a worker that knows the version gets it.
        BatchLogger(log, batch_id).warning("message version %d is not known here; left", version)
        return None
    context = child_process.context()
    try:
        outcome = classification.classify_batch(batch_id, context)
    except Exception as error:
        if Fault.of(error) is Fault.BUG:
            raise
        BatchLogger(log, batch_id).error("back to the ledger: %s", plain(error))
        # The ledger publishes it again when it is due, so that no retry is sent from here.
        raise Retry(exc=BatchReturnedError(plain(error))) from None
    dispatch(app, context.database, context.settings)
    release_memory()
    return outcome
