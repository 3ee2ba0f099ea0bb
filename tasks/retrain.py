"""The task ``tasks.retrain``: scheduled training, started by beat; several beats do no harm.

The message has no arguments. The database decides whether a run starts: its clock determines the
slot of the schedule, each slot has at most one run, and its rows show whether there are enough new
labels.
"""

import logging

from sqlalchemy import Engine

from classifier.errors import CratesortError
from db.dialects import clock
from db.engine import reading
from db.errors import plain
from db.registry import training_runs
from db.results import training_rows
from db.states import RunTrigger
from training.errors import RunNotOpenedError
from training.extra import require_training_extra
from training.runs.run import perform
from workers import child_process
from workers.celery_ext.app import RETRAIN_TASK, app
from workers.faults import Fault
from workers.settings import Settings, load_settings
from workers.training_schedule import parse_schedule, slot_at

log = logging.getLogger(__name__)

#: The same seed for all scheduled runs: two runs on the same labels should not differ by chance.
SEED = 0

_settings = load_settings()


class TrainingFailedError(CratesortError):
    """A scheduled run failed for a reason that needs no traceback."""


@app.task(  # type: ignore[untyped-decorator]  # Celery publishes no types
    name=RETRAIN_TASK,
    throws=(TrainingFailedError,),
    # Acknowledged early: a run may take longer than the visibility timeout. Its row has a lease.
    acks_late=False,
    # A run checks its time limit between two steps; this kills a run that is stuck in a step.
    time_limit=_settings.training_time_limit_seconds + _settings.training_lease_seconds,
)
def retrain() -> None:
    """Retrain if there are enough new labels and this slot of the schedule has no run yet."""
    try:
        _retrain(child_process.database(), _settings)
    except RunNotOpenedError as error:
        log.info("training skipped: %s", error)
    except Exception as error:
        if Fault.of(error) is Fault.BUG:
            raise
        log.error("training failed: %s; the model in use has not changed", plain(error))
        raise TrainingFailedError(plain(error)) from None


def _retrain(database: Engine, settings: Settings) -> None:
    schedule = parse_schedule(settings.training_schedule)
    if schedule is None:
        log.info("training skipped: CRATESORT_TRAINING_SCHEDULE is off on this host")
        return
    with reading(database) as connection:
        fresh = training_rows.labels_since(connection, training_runs.learned_label_id(connection))
        moment = clock(connection)
    if fresh < settings.training_new_labels:
        log.info(
            "training skipped: %d new labels, fewer than %d (CRATESORT_TRAINING_NEW_LABELS)",
            fresh,
            settings.training_new_labels,
        )
        return
    require_training_extra()
    from training.runs.from_labels import retrain_labels  # loads scikit-learn and pandas

    finished = perform(
        database,
        retrain_labels,
        trigger=RunTrigger.SCHEDULE,
        slot=slot_at(schedule, moment),
        seed=SEED,
        lease_seconds=settings.training_lease_seconds,
        time_limit_seconds=settings.training_time_limit_seconds,
    )
    log.info(
        "training run %d finished, model %s: %s",
        finished.run.id,
        finished.run.verdict,
        finished.run.reason,
    )
