"""The task ``tasks.classify``: one message, one batch."""

import logging

from classifier.errors import CratesortError
from db.errors import plain
from workers import child_process, classification
from workers.celery_ext.app import CLASSIFY_TASK, app
from workers.celery_ext.dispatch import MESSAGE_VERSION, dispatch
from workers.errors import BatchReturnedError, is_worlds
from workers.memory import release_memory

log = logging.getLogger(__name__)


@app.task(name=CLASSIFY_TASK, throws=(BatchReturnedError,))  # type: ignore[untyped-decorator]  # Celery publishes no types
def classify(version: int, batch_id: int, root: str, paths: list[str]) -> None:  # noqa: ARG001
    """Classify the ledger's batch `batch_id`, then ring for the next pending one.

    `root` and `paths` are for those who watch (Flower, logs, another consumer). What is read is
    what the *ledger* holds for this id: a forged or stale message can make a worker look at a
    batch a moment early, never at another file.
    """
    if version != MESSAGE_VERSION:
        # A newer producer during an upgrade: the batch stays queued, and the sweep rings again
        # until a worker that knows the version takes it.
        log.warning(
            "batch %d: message version %d is not known here; left",
            batch_id,
            version,
            extra={"batch": batch_id},
        )
        return
    context = child_process.context()
    try:
        classification.classify_batch(batch_id, context)
    except Exception as error:
        if not (is_worlds(error) or isinstance(error, CratesortError)):
            raise  # ours: loud, with its traceback
        log.error(
            "batch %d: back to the ledger: %s", batch_id, plain(error), extra={"batch": batch_id}
        )
        raise BatchReturnedError(plain(error)) from None
    dispatch(app, context.database, context.settings)
    release_memory()
