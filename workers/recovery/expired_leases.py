"""Returning batches whose lease expired: their worker is gone, or too slow.

Separate from the sweep because a run in one process, which has no broker, does this too.
"""

import logging
from collections import Counter

from sqlalchemy import Engine

from db.errors import plain
from db.queue import recovery
from db.queue.recovery import AttemptOutcome
from workers.faults import Fault
from workers.logging_setup import BatchLogger
from workers.recovery.failure_policy import Ending, carry_out, decide
from workers.settings import Settings

log = logging.getLogger(__name__)


def return_expired(database: Engine, settings: Settings) -> Counter[AttemptOutcome]:
    """Requeue or close all batches whose lease expired, and count the outcomes."""
    outcomes: Counter[AttemptOutcome] = Counter()
    with database.begin() as connection:
        recovery.shorten_leases(connection, seconds=settings.lease_seconds)
    while True:
        expired = outcome = None
        try:
            with database.begin() as connection:
                expired = recovery.next_expired(connection)
                if expired is None:
                    return outcomes
                outcome = carry_out(decide(Ending.CRASHED), connection, expired, settings)
        except Exception as error:
            if expired is None or Fault.of(error) is Fault.TRANSIENT:
                raise
            # A bug with one batch must not keep the other expired ones from returning.
            BatchLogger(log, expired.id).exception(
                "requeuing failed: %s; retried when its extended lease expires", plain(error)
            )
            with database.begin() as connection:
                recovery.extend_lease(
                    connection, expired.id, token=expired.token, seconds=settings.lease_seconds
                )
            continue
        if outcome is not None:
            outcomes[outcome] += 1
            BatchLogger(log, expired.id).warning("its lease expired; %s", outcome)
