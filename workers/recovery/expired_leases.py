"""Taking batches from workers that fell silent.

Kept apart from the rest of the sweep because the embedded mode, which has no broker, reaps too.
"""

import logging
from collections import Counter

from classifier.errors import ErrorCode
from db.errors import plain
from db.queue import recovery
from workers.context import WorkContext
from workers.errors import is_worlds
from workers.recovery.failure_policy import blame

log = logging.getLogger(__name__)


def return_expired(context: WorkContext) -> Counter[recovery.AttemptOutcome]:
    """Take batches whose lease expired, and count what became of them."""
    verdicts: Counter[recovery.AttemptOutcome] = Counter()
    while True:
        silent = verdict = None
        try:
            with context.database.begin() as connection:
                silent = recovery.next_expired(connection)
                if silent is None:
                    return verdicts
                verdict = blame(connection, silent, context.settings, ErrorCode.CRASHED_READER)
        except Exception as error:
            if silent is None or is_worlds(error):
                raise
            # Ours, and loud; but the others that fell silent must not wait behind it for ever.
            log.exception(
                "batch %d cannot be returned: %s",
                silent.id,
                plain(error),
                extra={"batch": silent.id},
            )
            with context.database.begin() as connection:
                recovery.extend_lease(
                    connection,
                    silent.id,
                    token=silent.token,
                    seconds=context.settings.lease_seconds,
                )
            continue
        if verdict is not None:
            verdicts[verdict] += 1
            log.warning(
                "batch %d: its worker fell silent; it was %s",
                silent.id,
                verdict,
                extra={"batch": silent.id},
            )
