"""The ledger's steps back: what failed, fell silent or was interrupted returns to the queue.

`hand_back` is without blame (the world was away, or we were asked to stop). `blame` counts an
attempt and narrows a batch down to the sound that ends its workers. `reap` finds the silent.

What is not here: the way forward (`db.ledger`), and which fault is whose (`workers.faults`).
"""

from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select, update

from db.batch import (
    ClaimedBatch,
    QueuedBatch,
    claimed_batch,
    columns,
    entries_of,
    given_up,
    is_held_by,
)
from db.dialects import now, skip_locked
from db.ledger import add_batch
from db.tables import BatchState, batches

#: A batch that ended its worker this often as a whole is split: once may be the host's fault.
SPLIT_AFTER_ATTEMPTS: Final = 2
#: A sound that ended its worker this often *alone* is to blame.
SOLO_ATTEMPTS: Final = 3


class Verdict(StrEnum):
    """What became of a batch after a failure nobody excused.

    A batch goes back as a whole `SPLIT_AFTER_ATTEMPTS` times, then in halves, down to single
    sounds; a sound that fails `SOLO_ATTEMPTS` times alone is hopeless: still held, for the caller
    to close with a typed row in the same transaction.
    """

    RETURNED = "returned"
    SPLIT = "split"
    HOPELESS = "hopeless"


def hand_back(connection: Connection, batch_id: int, *, token: str) -> bool:
    """Return a held batch to pending without blame: the world was away, or we were asked to stop.

    Returns
    -------
    bool
        False when the lease was lost already.
    """
    result = connection.execute(
        update(batches).where(is_held_by(batch_id, token)).values(**given_up())
    )
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


def reap(connection: Connection, *, limit: int = 100) -> list[ClaimedBatch]:
    """Lock and return batches whose lease expired; the caller passes each to `blame`.

    Parameters
    ----------
    connection : Connection
        In a transaction. Any number of sweepers may run: rows held by another are passed over.
    limit : int
        Most batches in one sweep.

    Returns
    -------
    list of ClaimedBatch
    """
    return _running(connection, batches.c.lease_expires_at < now(), limit)


def running_workers(connection: Connection) -> list[str]:
    """Return the names of all workers that hold a batch."""
    rows = connection.execute(
        select(batches.c.worker).where(batches.c.state == BatchState.RUNNING).distinct()
    )
    return [row.worker for row in rows if row.worker]


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


def single_out(connection: Connection, batch_id: int, *, token: str, index: int) -> bool:
    """Put one suspect of a held batch into a batch of its own, already blamed once.

    Returns
    -------
    bool
        False when the lease was lost already, or there is no such sound in the batch.
    """
    row = _held_row(connection, batch_id, token)
    if row is None or not 0 <= index < row["sound_count"]:
        return False
    entries = entries_of(row)
    if len(entries) == 1:
        _blame(connection, row)
        return True
    suspect = entries.pop(index)
    connection.execute(
        update(batches).where(batches.c.id == batch_id).values(**given_up(), **columns(entries))
    )
    add_batch(connection, row["ingest_id"], row["root"], [suspect], attempts=1)
    return True


def suspect(connection: Connection, batch_id: int) -> QueuedBatch | None:
    """Return a batch if it is a single sound that was blamed before, else None."""
    row = connection.execute(
        select(batches.c.id, batches.c.root, batches.c.paths).where(
            batches.c.id == batch_id, batches.c.sound_count == 1, batches.c.attempts > 0
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
        connection.execute(
            update(batches)
            .where(batches.c.id == row["id"])
            .values(**given_up(), attempts=0, **columns(entries[:half]))
        )
        add_batch(connection, row["ingest_id"], row["root"], entries[half:])
        return Verdict.SPLIT
    connection.execute(
        update(batches).where(batches.c.id == row["id"]).values(**given_up(), attempts=attempts)
    )
    return Verdict.RETURNED


def _held_row(connection: Connection, batch_id: int, token: str) -> RowMapping | None:
    query = select(batches).where(is_held_by(batch_id, token)).with_for_update()
    return connection.execute(query).mappings().one_or_none()
