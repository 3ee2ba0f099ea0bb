"""The task ``tasks.classify``: one message, one batch."""

import logging

from db.errors import plain
from workers import child_process, classification
from workers.celery_ext.app import CLASSIFY_TASK, app
from workers.celery_ext.dispatch import MESSAGE_VERSION, dispatch
from workers.errors import BatchReturnedError
from workers.faults import Fault
from workers.logging_setup import BatchLogger
from workers.memory import release_memory

log = logging.getLogger(__name__)


@app.task(name=CLASSIFY_TASK, throws=(BatchReturnedError,))  # type: ignore[untyped-decorator]  # Celery publishes no types
def classify(version: int, batch_id: int, root: str, paths: list[str]) -> None:  # noqa: ARG001
    """Classify the ledger's batch `batch_id`, then publish the next pending one.

    `root` and `paths` are for display (Flower, logs). The files that are read come from the ledger:
    a forged or stale message can make a worker claim a batch early, but never read another file.
    """
    if version != MESSAGE_VERSION:
        # A newer producer during an upgrade. The batch stays queued, and sweeps publish it again
        # until a worker that knows the version gets it.
        BatchLogger(log, batch_id).warning("message version %d is not known here; left", version)
        return
    context = child_process.context()
    try:
        classification.classify_batch(batch_id, context)
    except Exception as error:
        if Fault.of(error) is Fault.BUG:
            raise
        BatchLogger(log, batch_id).error("back to the ledger: %s", plain(error))
        raise BatchReturnedError(plain(error)) from None
    dispatch(app, context.database, context.settings)
    release_memory()
