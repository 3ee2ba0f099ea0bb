"""The sweep: requeues batches of dead workers, and publishes messages again that Redis lost.

A training run whose heartbeat stopped is closed; only the schedule or a user starts another.

Any number of sweeps may run at once, from beat, a waiting client or by hand: each statement skips
rows that another has locked.
"""

import logging
from typing import NamedTuple

from celery import Celery
from sqlalchemy import Engine

from db.engine import reading
from db.queue import ledger, root_names
from db.queue.recovery import AttemptOutcome
from db.registry import training_runs
from workers.celery_ext.dispatch import dispatch, messages_waiting, publish
from workers.recovery.expired_leases import return_expired
from workers.settings import Settings

log = logging.getLogger(__name__)


class Swept(NamedTuple):
    """What one sweep did, in batches."""

    #: Expired leases: sent back whole, sent back in halves, closed with an error row.
    returned: int
    split: int
    given_up: int
    #: Batches whose message seemed lost.
    republished: int
    #: Pending batches that got their first message.
    published: int


def sweep(app: Celery, database: Engine, settings: Settings) -> Swept:
    """Run one sweep."""
    outcomes = return_expired(database, settings)
    _close_expired_runs(database)
    republished = _republish_lost(app, database, settings)
    published = dispatch(app, database, settings).published
    swept = Swept(
        returned=outcomes[AttemptOutcome.RETURNED],
        split=outcomes[AttemptOutcome.SPLIT],
        given_up=outcomes[AttemptOutcome.GIVE_UP],
        republished=republished,
        published=published,
    )
    log.debug("swept: %s", swept)
    return swept


def _close_expired_runs(database: Engine) -> None:
    with database.begin() as connection:
        for run_id in training_runs.close_expired(connection):
            log.warning(
                "training run %d is closed as failed: %s", run_id, training_runs.HEARTBEAT_STOPPED
            )


def _republish_lost(app: Celery, database: Engine, settings: Settings) -> int:
    """Publish stale batches again, at most as many as messages are missing in Redis.

    A long backlog makes batches stale without any loss. Publishing those again would pile up
    duplicates faster than workers can discard them.
    """
    with reading(database) as connection:
        queued = root_names.queued(connection)
    missing = sum(queued.values()) - messages_waiting(app, queued) if queued else 0
    if missing <= 0:
        return 0
    with database.begin() as connection:
        stale = ledger.refresh_stale(
            connection, stale_seconds=settings.stale_seconds, limit=missing
        )
    return publish(app, database, stale).published
