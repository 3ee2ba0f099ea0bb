"""How a running batch returns to the queue: after an interruption, a failure or a crash.

`hand_back` counts no attempt (an outage, or a worker that is stopping). `count_attempt` counts one
and narrows the batch down to the sound that crashes its workers. `isolate` does so at once where
the sound is known. `next_expired` finds batches whose worker no longer answers.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select, update

from db.dialects import now, skip_locked
from db.queue.batch import (
    BatchEntry,
    ClaimedBatch,
    QueuedBatch,
    claimed_batch,
    columns,
    entries_of,
    is_held_by,
    released_claim,
)
from db.queue.ledger import add_batch
from db.states import BatchState
from db.tables import batches

#: A batch with so many attempts (crashes, time-outs, bugs) is split. One may be the host's fault.
SPLIT_AFTER_ATTEMPTS: Final = 2
#: The number of solo tries: a sound with so many attempts *alone* gets an error row.
SOLO_ATTEMPTS: Final = 3


class AttemptOutcome(StrEnum):
    """What became of a batch when an attempt was counted.

    `GIVE_UP`: a sound failed `SOLO_ATTEMPTS` times alone. Its batch is still held; the caller
    closes it with an error row in the same transaction.
    """

    RETURNED = "returned"
    SPLIT = "split"
    ISOLATED = "isolated"
    GIVE_UP = "given up"


def hand_back(
    connection: Connection, batch_id: int, *, token: str, after_seconds: float | None = None
) -> bool:
    """Return a held batch to pending and count no attempt.

    - `after_seconds`: after a transient failure: how long the batch waits before it is tried again.

    Returns False when the lease was lost already.
    """
    values = released_claim()
    if after_seconds is not None:
        values.update(due_at=now(after_seconds), setbacks=batches.c.setbacks + 1)
    result = connection.execute(update(batches).where(is_held_by(batch_id, token)).values(**values))
    return result.rowcount == 1


def record_reason(connection: Connection, batch_id: int, reason: str) -> None:
    """Record why a batch came back, for a user."""
    connection.execute(update(batches).where(batches.c.id == batch_id).values(reason=reason))


def count_attempt(connection: Connection, batch_id: int, *, token: str) -> AttemptOutcome | None:
    """Return a held batch and count an attempt, in halves after `SPLIT_AFTER_ATTEMPTS`.

    Returns None when the lease was lost already.
    """
    row = _held_row(connection, batch_id, token)
    return None if row is None else _count_attempt(connection, row)


def next_expired(connection: Connection) -> ClaimedBatch | None:
    """Lock and return one batch whose lease expired; the caller passes it to `count_attempt`.

    One at a time, because transactions that hold several can deadlock with workers. Rows that
    another sweeper has locked are skipped.
    """
    expired = _running(connection, batches.c.lease_expires_at < now(), limit=1)
    return expired[0] if expired else None


def extend_lease(connection: Connection, batch_id: int, *, token: str, seconds: float) -> None:
    """Give a held batch that cannot be returned now a new lease, so that others are found."""
    connection.execute(
        update(batches).where(is_held_by(batch_id, token)).values(lease_expires_at=now(seconds))
    )


def held_by_worker(connection: Connection, worker: str) -> list[ClaimedBatch]:
    """Lock and return the batches of a worker whose process is gone, expired or not."""
    return _running(connection, batches.c.worker == worker, limit=1000)


def _running(connection: Connection, condition: Any, limit: int) -> list[ClaimedBatch]:
    query = (
        select(batches)
        .where(batches.c.state == BatchState.RUNNING, condition)
        .order_by(batches.c.id)
        .limit(limit)
    )
    return [claimed_batch(row) for row in connection.execute(skip_locked(query)).mappings()]


def isolate(
    connection: Connection, batch_id: int, *, token: str, index: int
) -> AttemptOutcome | None:
    """Put the sound that was being read into a batch of its own and return the rest.

    Both batches start with no attempt: only crashes *alone* count against the sound, and nothing
    was learned about the others. A batch of one sound, or an index out of range, is counted as by
    `count_attempt`. Returns None when the lease was lost already.
    """
    row = _held_row(connection, batch_id, token)
    if row is None:
        return None
    entries = entries_of(row)
    if len(entries) == 1 or not 0 <= index < len(entries):
        return _count_attempt(connection, row)
    suspect = entries.pop(index)
    connection.execute(
        update(batches)
        .where(batches.c.id == batch_id)
        .values(**released_claim(), **columns(entries), attempts=0)
    )
    _add_beside(connection, row, [suspect], suspect=True)
    return AttemptOutcome.ISOLATED


def suspect(connection: Connection, batch_id: int) -> QueuedBatch | None:
    """Return a batch if it holds one sound that is suspected of crashing its readers."""
    row = connection.execute(
        select(batches.c.id, batches.c.ingest_id, batches.c.root, batches.c.paths).where(
            batches.c.id == batch_id, batches.c.suspect
        )
    ).one_or_none()
    return None if row is None else QueuedBatch(row.id, row.ingest_id, row.root, tuple(row.paths))


def _count_attempt(connection: Connection, row: RowMapping) -> AttemptOutcome:
    attempts = row["attempts"] + 1
    if row["sound_count"] == 1 and attempts >= SOLO_ATTEMPTS:
        return AttemptOutcome.GIVE_UP
    if row["sound_count"] > 1 and attempts >= SPLIT_AFTER_ATTEMPTS:
        entries = entries_of(row)
        half = len(entries) // 2
        first, second = entries[:half], entries[half:]
        connection.execute(
            update(batches)
            .where(batches.c.id == row["id"])
            .values(**released_claim(), **columns(first), attempts=0, suspect=len(first) == 1)
        )
        _add_beside(connection, row, second, suspect=len(second) == 1)
        return AttemptOutcome.SPLIT
    connection.execute(
        update(batches)
        .where(batches.c.id == row["id"])
        .values(**released_claim(), attempts=attempts, suspect=row["sound_count"] == 1)
    )
    return AttemptOutcome.RETURNED


def _add_beside(
    connection: Connection, row: RowMapping, entries: Sequence[BatchEntry], *, suspect: bool
) -> None:
    """Write some sounds of a batch as a new batch."""
    add_batch(
        connection,
        row["ingest_id"],
        row["root"],
        entries,
        seen=row["seen"],
        suspect=suspect,
        interactive=row["interactive"],
    )


def _held_row(connection: Connection, batch_id: int, token: str) -> RowMapping | None:
    query = select(batches).where(is_held_by(batch_id, token)).with_for_update()
    return connection.execute(query).mappings().one_or_none()
