"""The sweep: what silent workers held goes back, what Redis lost is sent again.

A training run that fell silent is closed; nobody starts it again but the schedule, or a person.

Any number of sweeps may run at once, from beat, from a waiting producer, by hand; each statement
passes over what another holds.
"""

import logging
from dataclasses import dataclass

from celery import Celery

from db.engine import reading
from db.queue import ledger, recovery
from db.registry import training_runs
from workers.celery_ext.dispatch import dispatch, messages_waiting, publish
from workers.context import WorkContext
from workers.recovery.expired_leases import return_expired

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did, in batches.

    Attributes
    ----------
    returned, split, crashed : int
        Expired leases: sent back whole, sent back in halves, closed as `crashed_reader`.
    republished : int
        Batches whose message seemed lost.
    published : int
        Pending batches that got their first message.
    """

    returned: int
    split: int
    crashed: int
    republished: int
    published: int


def sweep(app: Celery, context: WorkContext) -> Swept:
    """Run one sweep.

    Raises
    ------
    sqlalchemy.exc.OperationalError
        The database is away; the next sweep tries again.
    """
    verdicts = return_expired(context)
    _close_silent_runs(context)
    settings = context.settings
    republished = _republish_lost(app, context)
    published = dispatch(app, context.database, settings).published
    swept = Swept(
        returned=verdicts[recovery.AttemptOutcome.RETURNED],
        split=verdicts[recovery.AttemptOutcome.SPLIT],
        crashed=verdicts[recovery.AttemptOutcome.GIVE_UP],
        republished=republished,
        published=published,
    )
    log.debug("swept: %s", swept)
    return swept


def _close_silent_runs(context: WorkContext) -> None:
    with context.database.begin() as connection:
        for run_id in training_runs.close_expired(connection):
            log.warning("training run %d: %s; it is closed", run_id, training_runs.FELL_SILENT)


def _republish_lost(app: Celery, context: WorkContext) -> int:
    """Publish stale batches again, as many as Redis has too few messages.

    A backlog that takes longer than the stale time has lost nothing. Sent again all the same, its
    messages would pile up faster than workers can tell them for copies.
    """
    settings = context.settings
    with reading(context.database) as connection:
        queued = ledger.count_queued(connection)
    missing = queued - messages_waiting(app) if queued else 0
    if missing <= 0:
        return 0
    with context.database.begin() as connection:
        stale = ledger.refresh_stale(
            connection, stale_seconds=settings.stale_seconds, limit=missing
        )
    return publish(app, context.database, stale).published
