"""The task ``tasks.retrain``: beat's wake-up call to the trainer; harmless from several beats.

The message says nothing but "now". Whether a run begins, the database decides: by its clock the
schedule's moment is found, which has one run and never a second, and by its rows whether enough
labels came in.
"""

import logging

from classifier.errors import CratesortError
from db.dialects import clock
from db.engine import reading
from db.errors import plain
from db.registry import training_runs
from db.results import training_rows
from db.tables import RunTrigger
from training.errors import RunNotOpenedError
from training.extra import require_training_extra
from training.runs.run import perform
from workers import child_process
from workers.celery_ext.app import RETRAIN_TASK, app
from workers.context import WorkContext
from workers.errors import is_worlds
from workers.settings import load_settings
from workers.training_schedule import parse_schedule, slot_at

log = logging.getLogger(__name__)

#: The seed of every scheduled run: two of the same labels should not differ by chance.
SEED = 0

_settings = load_settings()


class TrainingFailedError(CratesortError):
    """A scheduled run came to nothing for a reason that needs no traceback."""


@app.task(  # type: ignore[untyped-decorator]  # Celery publishes no types
    name=RETRAIN_TASK,
    throws=(TrainingFailedError,),
    # At once: a run of hours must not be delivered again in the middle. The run's row remembers.
    acks_late=False,
    # The run ends itself at its limit, between two steps; this is for one that has no more steps.
    time_limit=_settings.training_time_limit_seconds + _settings.training_lease_seconds,
)
def retrain() -> None:
    """Retrain, if enough labels came in and nobody has for this moment of the schedule."""
    try:
        _retrain(child_process.context())
    except RunNotOpenedError as error:
        log.info("no training run: %s", error)
    except Exception as error:
        if not (is_worlds(error) or isinstance(error, CratesortError)):
            raise  # ours: loud, with its traceback
        log.error("training failed: %s", plain(error))
        raise TrainingFailedError(plain(error)) from None


def _retrain(context: WorkContext) -> None:
    settings = context.settings
    schedule = parse_schedule(settings.training_schedule)
    if schedule is None:
        log.info("no training run: CRATESORT_TRAINING_SCHEDULE is off here")
        return
    with reading(context.database) as connection:
        fresh = training_rows.labels_since(connection, training_runs.learned_label_id(connection))
        moment = clock(connection)
    if fresh < settings.training_new_labels:
        log.info(
            "no training run: %d new labels, fewer than %d (CRATESORT_TRAINING_NEW_LABELS)",
            fresh,
            settings.training_new_labels,
        )
        return
    require_training_extra()
    from training.runs.from_labels import retrain_labels  # loads scikit-learn and pandas

    finished = perform(
        context.database,
        retrain_labels,
        trigger=RunTrigger.SCHEDULE,
        slot=slot_at(schedule, moment),
        seed=SEED,
        lease_seconds=settings.training_lease_seconds,
        time_limit_seconds=settings.training_time_limit_seconds,
    )
    log.info("training run %d: %s: %s", finished.run.id, finished.run.verdict, finished.run.reason)
