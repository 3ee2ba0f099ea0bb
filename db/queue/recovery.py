"""How a running batch returns to the queue: after an interruption, a failure or a crash.

`hand_back` counts no attempt (an outage, or a worker that is stopping). `count_attempt` counts one
and narrows the batch down to the sound that crashes its workers. `isolate` does so at once where
the sound is known. `next_expired` finds batches whose worker no longer answers.
"""

from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, insert, literal, select, update

from db.dialects import json_items, now, skip_locked
from db.queue.batch import (
    CLAIM_COLUMNS,
    ClaimedBatch,
    QueuedBatch,
    claimed_batch,
    claimed_entries,
    columns,
    is_claimed_with,
    released_claim,
)
from db.queue.ledger import add_batch
from db.states import BatchState
from db.tables import batches

#: A batch is split after this many attempts (crashes, time-outs, bugs). A single one may be caused
#: by the host.
SPLIT_AFTER_ATTEMPTS: Final = 2
#: A sound gets an error row after this many attempts in a batch of its own.
SOLO_ATTEMPTS: Final = 3

#: Columns that are divided between the halves of a batch, and columns that are copied to both.
_LISTS: Final = (batches.c.paths, batches.c.packs, batches.c.vendors)
_SHARED: Final = (batches.c.ingest_id, batches.c.root, batches.c.seen, batches.c.interactive)


class AttemptOutcome(StrEnum):
    """What happened to a batch that was not finished; the values appear in log lines.

    `GIVE_UP`: a sound failed `SOLO_ATTEMPTS` times alone. Its batch is still claimed; the caller
    closes it with an error row in the same transaction.
    """

    RETURNED = "requeued"
    SPLIT = "requeued in halves"
    ISOLATED = "requeued, the file that was being read in a batch of its own"
    GIVE_UP = "recorded as failed"


def hand_back(
    connection: Connection, batch_id: int, *, token: str, after_seconds: float | None = None
) -> bool:
    """Return a claimed batch to pending without counting an attempt.

    - `after_seconds`: how long to wait before the next try after a transient failure, which is
      counted as a setback; None when there was none.

    Returns False when the lease was lost already.
    """
    values = released_claim()
    if after_seconds is not None:
        values.update(due_at=now(after_seconds), setbacks=batches.c.setbacks + 1)
    result = connection.execute(
        update(batches).where(is_claimed_with(batch_id, token)).values(**values)
    )
    return result.rowcount == 1


def record_reason(connection: Connection, batch_id: int, reason: str) -> None:
    """Record why a batch was returned, to show it to users."""
    connection.execute(update(batches).where(batches.c.id == batch_id).values(reason=reason))


def count_attempt(connection: Connection, batch_id: int, *, token: str) -> AttemptOutcome | None:
    """Count an attempt and return a claimed batch, in halves after `SPLIT_AFTER_ATTEMPTS`.

    Returns None when the lease was lost already.
    """
    row = _claimed_row(connection, batch_id, token)
    return None if row is None else _count_attempt(connection, row)


def next_expired(connection: Connection) -> ClaimedBatch | None:
    """Lock and return one batch whose lease expired; the caller passes it to `count_attempt`.

    One at a time, because transactions that hold several can deadlock with workers. Rows that
    another sweeper has locked are skipped.
    """
    expired = _running(connection, batches.c.lease_expires_at < now(), limit=1)
    return expired[0] if expired else None


def shorten_leases(connection: Connection, *, seconds: float) -> None:
    """Limit leases that were written before the database's clock was set back.

    They belong to batches whose claim lies in the future. Such a batch stays claimed, because its
    worker may be alive.

    - `seconds`: the length of a lease, and the longest that the changed ones last from now. A
      smaller step of the clock changes nothing.
    """
    connection.execute(
        update(batches)
        .where(batches.c.state == BatchState.RUNNING, batches.c.started_at > now(seconds))
        .values(started_at=now(), lease_expires_at=now(seconds))
    )


def extend_lease(connection: Connection, batch_id: int, *, token: str, seconds: float) -> None:
    """Renew the lease of an expired batch that cannot be returned yet.

    Otherwise `next_expired` would find this batch again, and not the next one.
    """
    connection.execute(
        update(batches)
        .where(is_claimed_with(batch_id, token))
        .values(lease_expires_at=now(seconds))
    )


def claimed_by_worker(connection: Connection, worker: str) -> list[ClaimedBatch]:
    """Lock and return the batches of a worker whose process has ended, expired or not."""
    return _running(connection, batches.c.worker == worker, limit=1000)


def _running(connection: Connection, condition: Any, limit: int) -> list[ClaimedBatch]:
    query = (
        select(*CLAIM_COLUMNS)
        .where(batches.c.state == BatchState.RUNNING, condition)
        .order_by(batches.c.id)
        .limit(limit)
    )
    return [claimed_batch(row) for row in connection.execute(skip_locked(query)).mappings()]


def isolate(
    connection: Connection, batch_id: int, *, token: str, index: int
) -> AttemptOutcome | None:
    """Put the sound that was being read into a batch of its own and return the rest.

    Both batches start with zero attempts: only crashes in a batch of its own count against the
    sound, and the others have not been tried without it. With a batch of one sound, or an index out
    of range, this does the same as `count_attempt`.

    - `index`: position of the sound in the batch.

    Returns None when the lease was lost already.
    """
    row = _claimed_row(connection, batch_id, token)
    if row is None:
        return None
    if row["sound_count"] == 1 or not 0 <= index < row["sound_count"]:
        return _count_attempt(connection, row)
    entries = claimed_entries(connection, batch_id, token=token)
    if index >= len(entries):  # malformed since it was queued
        return _count_attempt(connection, row)
    suspect = entries.pop(index)
    connection.execute(
        update(batches)
        .where(batches.c.id == batch_id)
        .values(**released_claim(), **columns(entries), attempts=0)
    )
    add_batch(
        connection,
        row["ingest_id"],
        row["root"],
        [suspect],
        seen=row["seen"],
        suspect=True,
        interactive=row["interactive"],
    )
    return AttemptOutcome.ISOLATED


def suspect(connection: Connection, batch_id: int) -> QueuedBatch | None:
    """Return a batch if it consists of one sound that is suspected of crashing workers."""
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
        _split(connection, row)
        return AttemptOutcome.SPLIT
    connection.execute(
        update(batches)
        .where(batches.c.id == row["id"])
        .values(**released_claim(), attempts=attempts, suspect=row["sound_count"] == 1)
    )
    return AttemptOutcome.RETURNED


def _split(connection: Connection, row: RowMapping) -> None:
    """Move the second half of a batch into a new batch.

    The database does the work, because the lists may be too large for this process.
    """
    count, half = row["sound_count"], row["sound_count"] // 2
    second = {
        **{column.name: json_items(column, half, count) for column in _LISTS},
        "sound_count": literal(count - half),
        "suspect": literal(count - half == 1),
        "state": literal(BatchState.PENDING),
        "created_at": now(),
        **{column.name: column for column in _SHARED},
    }
    is_this_batch = batches.c.id == row["id"]
    connection.execute(
        insert(batches).from_select(list(second), select(*second.values()).where(is_this_batch))
    )
    first = {column.name: json_items(column, 0, half) for column in _LISTS}
    connection.execute(
        update(batches)
        .where(is_this_batch)
        .values(**released_claim(), **first, sound_count=half, attempts=0, suspect=half == 1)
    )


def _claimed_row(connection: Connection, batch_id: int, token: str) -> RowMapping | None:
    query = select(*CLAIM_COLUMNS).where(is_claimed_with(batch_id, token)).with_for_update()
    return connection.execute(query).mappings().one_or_none()
