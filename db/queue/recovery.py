"""The ledger's steps back: what failed, fell silent or was interrupted returns to the queue.

`hand_back` is without blame (the world was away, or we were asked to stop). `blame` counts an
attempt and narrows a batch down to the sound that ends its workers. `reap` finds the silent.
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
    given_up,
    is_held_by,
)
from db.queue.ledger import add_batch
from db.tables import BatchState, batches

#: A batch that ended its worker this often as a whole is split: once may be the host's fault.
SPLIT_AFTER_ATTEMPTS: Final = 2
#: A sound that ended its worker this often *alone* is to blame.
SOLO_ATTEMPTS: Final = 3


class Verdict(StrEnum):
    """What became of a batch after a failure nobody excused.

    A batch goes back as a whole `SPLIT_AFTER_ATTEMPTS` times, then in halves, down to single
    sounds; where the sound in hand is known, it is singled out at once and its batch goes back
    without it. A sound that fails `SOLO_ATTEMPTS` times alone is hopeless: still held, for the
    caller to close with a typed row in the same transaction.
    """

    RETURNED = "returned"
    SPLIT = "split"
    SINGLED_OUT = "singled_out"
    HOPELESS = "hopeless"


def hand_back(
    connection: Connection, batch_id: int, *, token: str, after_seconds: float | None = None
) -> bool:
    """Return a held batch to pending without blame: the world was away, or we were asked to stop.

    Parameters
    ----------
    after_seconds : float, optional
        The world was in the way: not to be tried again before this has passed.

    Returns
    -------
    bool
        False when the lease was lost already.
    """
    values = given_up()
    if after_seconds is not None:
        values.update(due_at=now(after_seconds), setbacks=batches.c.setbacks + 1)
    result = connection.execute(update(batches).where(is_held_by(batch_id, token)).values(**values))
    return result.rowcount == 1


def blame(connection: Connection, batch_id: int, *, token: str) -> Verdict | None:
    """Return a held batch after a failure nobody excused; as `reap` does for a silent worker.

    Returns
    -------
    Verdict or None
        None when the lease was lost already.
    """
    row = _held_row(connection, batch_id, token)
    return None if row is None else _blame(connection, row)


def reap(connection: Connection) -> ClaimedBatch | None:
    """Lock and return one batch whose lease expired; the caller passes it to `blame`.

    One at a time: a transaction that held several could wait for a worker which waits for it.

    Parameters
    ----------
    connection : Connection
        In a transaction. Any number of sweepers may run: rows held by another are passed over.
    """
    expired = _running(connection, batches.c.lease_expires_at < now(), limit=1)
    return expired[0] if expired else None


def postpone(connection: Connection, batch_id: int, *, token: str, seconds: float) -> None:
    """Give a held batch that cannot be returned now a new lease, so that others get their turn."""
    connection.execute(
        update(batches).where(is_held_by(batch_id, token)).values(lease_expires_at=now(seconds))
    )


def held_by_worker(connection: Connection, worker: str) -> list[ClaimedBatch]:
    """Lock and return the batches a worker holds, lease or not: its process is known to be gone."""
    return _running(connection, batches.c.worker == worker, limit=1000)


def _running(connection: Connection, condition: Any, limit: int) -> list[ClaimedBatch]:
    query = (
        select(batches)
        .where(batches.c.state == BatchState.RUNNING, condition)
        .order_by(batches.c.id)
        .limit(limit)
    )
    return [claimed_batch(row) for row in connection.execute(skip_locked(query)).mappings()]


def single_out(connection: Connection, batch_id: int, *, token: str, index: int) -> Verdict | None:
    """Put the sound that was being read into a batch of its own; its batch goes back without it.

    Both batches start without an attempt: of the suspect only what happens to it *alone* counts,
    and of the others nothing was learned. A batch that holds nothing else is blamed.

    Parameters
    ----------
    connection : Connection
        In a transaction.
    index : int
        Of the suspect among the batch's sounds; of one that is not there nothing is learned, and
        the batch is blamed as a whole.

    Returns
    -------
    Verdict or None
        None when the lease was lost already.
    """
    row = _held_row(connection, batch_id, token)
    if row is None:
        return None
    entries = entries_of(row)
    if len(entries) == 1 or not 0 <= index < len(entries):
        return _blame(connection, row)
    suspect = entries.pop(index)
    connection.execute(
        update(batches)
        .where(batches.c.id == batch_id)
        .values(**given_up(), **columns(entries), attempts=0)
    )
    _add_beside(connection, row, [suspect], suspect=True)
    return Verdict.SINGLED_OUT


def suspect(connection: Connection, batch_id: int) -> QueuedBatch | None:
    """Return a batch if it holds one sound that is thought to end its readers, else None."""
    row = connection.execute(
        select(batches.c.id, batches.c.root, batches.c.paths).where(
            batches.c.id == batch_id, batches.c.suspect
        )
    ).one_or_none()
    return None if row is None else QueuedBatch(row.id, row.root, tuple(row.paths))


def _blame(connection: Connection, row: RowMapping) -> Verdict:
    attempts = row["attempts"] + 1
    if row["sound_count"] == 1 and attempts >= SOLO_ATTEMPTS:
        return Verdict.HOPELESS
    if row["sound_count"] > 1 and attempts >= SPLIT_AFTER_ATTEMPTS:
        entries = entries_of(row)
        half = len(entries) // 2
        first, second = entries[:half], entries[half:]
        connection.execute(
            update(batches)
            .where(batches.c.id == row["id"])
            .values(**given_up(), **columns(first), attempts=0, suspect=len(first) == 1)
        )
        _add_beside(connection, row, second, suspect=len(second) == 1)
        return Verdict.SPLIT
    connection.execute(
        update(batches)
        .where(batches.c.id == row["id"])
        .values(**given_up(), attempts=attempts, suspect=row["sound_count"] == 1)
    )
    return Verdict.RETURNED


def _add_beside(
    connection: Connection, row: RowMapping, entries: Sequence[BatchEntry], *, suspect: bool
) -> None:
    """Write some of a batch's sounds as a batch of their own."""
    add_batch(
        connection,
        row["ingest_id"],
        row["root"],
        entries,
        suspect=suspect,
        interactive=row["interactive"],
    )


def _held_row(connection: Connection, batch_id: int, token: str) -> RowMapping | None:
    query = select(batches).where(is_held_by(batch_id, token)).with_for_update()
    return connection.execute(query).mappings().one_or_none()
