"""Taking batches from workers that fell silent.

Kept apart from the rest of the sweep because the embedded mode, which has no broker, reaps too.
"""

import logging
from collections import Counter

from classifier.errors import ErrorCode
from db import recovery
from workers.blame import blame
from workers.context import WorkContext

log = logging.getLogger(__name__)


def reap(context: WorkContext) -> Counter[recovery.Verdict]:
    """Take batches whose lease expired, and count what became of them."""
    verdicts: Counter[recovery.Verdict] = Counter()
    while True:
        with context.database.begin() as connection:
            silent = recovery.reap(connection)
            if silent is None:
                return verdicts
            verdict = blame(connection, silent, context.settings, ErrorCode.CRASHED_READER)
        if verdict is not None:
            verdicts[verdict] += 1
            log.warning("batch %d: its worker fell silent; it was %s", silent.id, verdict)
