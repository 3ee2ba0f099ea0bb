"""The ledger: ingests and batches, and every step of a batch's life as one named query.

pending --take--> queued --claim--> running --finish--> done. Backwards: `hand_back` (the world was
away), `blame` (a worker failed or fell silent), `refresh_stale` (a message was lost). All of them
may run at any time, twice, and in several processes at once: each checks the state it expects in
the statement that changes it.

What is not here: results of sounds (`db.sounds`), counts for people (`db.overview`), and when to
call what (`workers`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, and_, func, insert, select, update

from db.dialects import now, skip_locked
from db.tables import BatchState, batches, ingests

#: A batch that ended its worker this often as a whole is split: once may be the host's fault.
SPLIT_AFTER_ATTEMPTS: Final = 2
#: A sound that ended its worker this often *alone* is to blame.
SOLO_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """One sound as the ledger holds it.

    Attributes
    ----------
    path : str
        As `classifier.paths.path_text` writes it; relative to its root.
    pack, vendor : str
    """

    path: str
    pack: str
    vendor: str


@dataclass(frozen=True, slots=True)
class QueuedBatch:
    """A batch that was just marked `queued` and now needs a message.

    Attributes
    ----------
    id : int
    root : str
        Name of the library root.
    paths : tuple of str
    """

    id: int
    root: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClaimedBatch:
    """A batch this worker holds, until its lease expires.

    Attributes
    ----------
    id, ingest_id : int
    root : str
    entries : tuple of BatchEntry
    token : str
        Proof of the claim; `finish`, `hand_back` and `blame` ask for it.
    attempts : int
        Earlier claims that ended in silence.
    """

    id: int
    ingest_id: int
    root: str
    entries: tuple[BatchEntry, ...]
    token: str
    attempts: int


class Verdict(StrEnum):
    """What became of a batch after a failure nobody excused.

    A batch goes back as a whole `SPLIT_AFTER_ATTEMPTS` times, then in halves, down to single
    sounds; a sound that fails `SOLO_ATTEMPTS` times alone is hopeless: still held, for the caller
    to close with a typed row in the same transaction.
    """

    RETURNED = "returned"
    SPLIT = "split"
    HOPELESS = "hopeless"


def open_ingest(connection: Connection, source: str) -> int:
    """Begin an ingest and return its id."""
    statement = insert(ingests).values(source=source, started_at=now()).returning(ingests.c.id)
    return int(connection.execute(statement).scalar_one())


def record_progress(
    connection: Connection,
    ingest_id: int,
    *,
    found: int,
    ignored: int,
    skipped_unchanged: int,
    enqueued: int,
    submitted: bool,
) -> None:
    """Write what the producer has seen so far; `submitted` closes the producer's part."""
    values: dict[str, Any] = {
        "found": found,
        "ignored": ignored,
        "skipped_unchanged": skipped_unchanged,
        "enqueued": enqueued,
    }
    if submitted:
        values["submitted_at"] = now()
    connection.execute(update(ingests).where(ingests.c.id == ingest_id).values(**values))


def add_batch(
    connection: Connection,
    ingest_id: int,
    root: str,
    entries: Sequence[BatchEntry],
    *,
    attempts: int = 0,
) -> None:
    """Write one batch, pending. Its commit is the promise to the producer."""
    connection.execute(
        insert(batches).values(
            ingest_id=ingest_id,
            root=root,
            **_columns(entries),
            state=BatchState.PENDING,
            attempts=attempts,
            created_at=now(),
        )
    )


def take_pending(connection: Connection, *, window: int, limit: int) -> list[QueuedBatch]:
    """Mark pending batches `queued`, while fewer than `window` are in flight.

    Two dispatchers at once may overshoot the window by one round each; the window bounds memory in
    Redis, so an exact count under a lock would buy nothing.

    Parameters
    ----------
    connection : Connection
        In a transaction; messages are sent after its commit.
    window : int
        Most batches queued or running at once.
    limit : int
        Most batches to take now.

    Returns
    -------
    list of QueuedBatch
        Oldest first.
    """
    in_flight = connection.execute(
        select(func.count()).where(batches.c.state.in_((BatchState.QUEUED, BatchState.RUNNING)))
    ).scalar_one()
    wanted = min(limit, window - in_flight)
    if wanted <= 0:
        return []
    chosen = skip_locked(
        select(batches.c.id)
        .where(batches.c.state == BatchState.PENDING)
        .order_by(batches.c.id)
        .limit(wanted)
    )
    return _mark_queued(connection, chosen)


def refresh_stale(connection: Connection, *, stale_seconds: float, limit: int) -> list[QueuedBatch]:
    """Choose queued batches nobody claimed in time, whose message may be lost, for a new message.

    At most one more message a batch in each period; a duplicate claims nothing.
    """
    chosen = skip_locked(
        select(batches.c.id)
        .where(
            batches.c.state == BatchState.QUEUED,
            batches.c.queued_at < now(-stale_seconds),
        )
        .order_by(batches.c.id)
        .limit(limit)
    )
    return _mark_queued(connection, chosen)


def _mark_queued(connection: Connection, chosen: Any) -> list[QueuedBatch]:
    rows = connection.execute(
        update(batches)
        .where(batches.c.id.in_(chosen.scalar_subquery()))
        .values(state=BatchState.QUEUED, queued_at=now())
        .returning(batches.c.id, batches.c.root, batches.c.paths)
    ).all()
    return sorted(
        (QueuedBatch(row.id, row.root, tuple(row.paths)) for row in rows),
        key=lambda batch: batch.id,
    )


def unqueue(connection: Connection, batch_ids: Sequence[int]) -> None:
    """Put batches whose message could not be sent back to pending."""
    connection.execute(
        update(batches)
        .where(batches.c.id.in_(batch_ids), batches.c.state == BatchState.QUEUED)
        .values(state=BatchState.PENDING, queued_at=None)
    )


def next_open(connection: Connection) -> int | None:
    """Mark the oldest batch that nobody works on `queued`, and return its id.

    For work without messages: a batch that is queued already is as good as pending, and if another
    process takes it in the same moment, `claim` decides.
    """
    # Locked: PostgreSQL would otherwise mark a batch `queued` that was claimed since it was chosen.
    chosen = skip_locked(
        select(batches.c.id)
        .where(batches.c.state.in_((BatchState.PENDING, BatchState.QUEUED)))
        .order_by(batches.c.id)
        .limit(1)
    )
    return connection.execute(
        update(batches)
        .where(batches.c.id == chosen.scalar_subquery())
        .values(state=BatchState.QUEUED, queued_at=now())
        .returning(batches.c.id)
    ).scalar_one_or_none()


def claim(
    connection: Connection, batch_id: int, *, token: str, worker: str, lease_seconds: float
) -> ClaimedBatch | None:
    """Take a queued batch under a lease, or learn that it is not to be had.

    Returns
    -------
    ClaimedBatch or None
        None for a second copy of a message, and for a batch that is done.
    """
    row = (
        connection.execute(
            update(batches)
            .where(batches.c.id == batch_id, batches.c.state == BatchState.QUEUED)
            .values(
                state=BatchState.RUNNING,
                token=token,
                worker=worker,
                lease_expires_at=now(lease_seconds),
                started_at=now(),
            )
            .returning(batches)
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else _claimed(row)


def finish(
    connection: Connection, batch_id: int, *, token: str, classified: int, failed: int
) -> bool:
    """Close a batch, if this token still holds it.

    Returns
    -------
    bool
        False: the lease was lost and somebody else has the batch. The caller rolls back, so that a
        worker that slept through its lease writes nothing.
    """
    result = connection.execute(
        update(batches)
        .where(_held_by(batch_id, token))
        .values(
            state=BatchState.DONE,
            token=None,
            lease_expires_at=None,
            finished_at=now(),
            classified=classified,
            failed=failed,
        )
    )
    return result.rowcount == 1


def hand_back(connection: Connection, batch_id: int, *, token: str) -> bool:
    """Return a held batch to pending without blame: the world was away, or we were asked to stop.

    Returns
    -------
    bool
        False when the lease was lost already.
    """
    result = connection.execute(
        update(batches).where(_held_by(batch_id, token)).values(**_silent_again())
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
    return [_claimed(row) for row in connection.execute(skip_locked(query)).mappings()]


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
    entries = _entries(row)
    if len(entries) == 1:
        _blame(connection, row)
        return True
    suspect = entries.pop(index)
    connection.execute(
        update(batches)
        .where(batches.c.id == batch_id)
        .values(**_silent_again(), **_columns(entries))
    )
    add_batch(connection, row["ingest_id"], row["root"], [suspect], attempts=1)
    return True


def _blame(connection: Connection, row: RowMapping) -> Verdict:
    attempts = row["attempts"] + 1
    if row["sound_count"] == 1 and attempts >= SOLO_ATTEMPTS:
        return Verdict.HOPELESS
    if row["sound_count"] > 1 and attempts >= SPLIT_AFTER_ATTEMPTS:
        entries = _entries(row)
        half = len(entries) // 2
        connection.execute(
            update(batches)
            .where(batches.c.id == row["id"])
            .values(**_silent_again(), attempts=0, **_columns(entries[:half]))
        )
        add_batch(connection, row["ingest_id"], row["root"], entries[half:])
        return Verdict.SPLIT
    connection.execute(
        update(batches)
        .where(batches.c.id == row["id"])
        .values(**_silent_again(), attempts=attempts)
    )
    return Verdict.RETURNED


def _held_row(connection: Connection, batch_id: int, token: str) -> RowMapping | None:
    query = select(batches).where(_held_by(batch_id, token)).with_for_update()
    return connection.execute(query).mappings().one_or_none()


def _silent_again() -> dict[str, Any]:
    return {
        "state": BatchState.PENDING,
        "token": None,
        "worker": None,
        "lease_expires_at": None,
        "queued_at": None,
    }


def _held_by(batch_id: int, token: str) -> Any:
    return and_(
        batches.c.id == batch_id, batches.c.token == token, batches.c.state == BatchState.RUNNING
    )


def _columns(entries: Sequence[BatchEntry]) -> dict[str, Any]:
    return {
        "paths": [entry.path for entry in entries],
        "packs": [entry.pack for entry in entries],
        "vendors": [entry.vendor for entry in entries],
        "sound_count": len(entries),
    }


def _entries(row: RowMapping) -> list[BatchEntry]:
    return [
        BatchEntry(path, pack, vendor)
        for path, pack, vendor in zip(row["paths"], row["packs"], row["vendors"], strict=True)
    ]


def _claimed(row: RowMapping) -> ClaimedBatch:
    return ClaimedBatch(
        id=row["id"],
        ingest_id=row["ingest_id"],
        root=row["root"],
        entries=tuple(_entries(row)),
        token=row["token"],
        attempts=row["attempts"],
    )


def running_workers(connection: Connection) -> list[str]:
    """Return the names of all workers that hold a batch."""
    rows = connection.execute(
        select(batches.c.worker).where(batches.c.state == BatchState.RUNNING).distinct()
    )
    return [row.worker for row in rows if row.worker]


def has_open_batches(connection: Connection, ingest_id: int) -> bool:
    """Whether an ingest has batches that are not done."""
    query = select(batches.c.id).where(
        batches.c.ingest_id == ingest_id, batches.c.state != BatchState.DONE
    )
    return connection.execute(query.limit(1)).first() is not None


def suspect(connection: Connection, batch_id: int) -> QueuedBatch | None:
    """Return a batch if it is a single sound that was blamed before, else None."""
    row = connection.execute(
        select(batches.c.id, batches.c.root, batches.c.paths).where(
            batches.c.id == batch_id, batches.c.sound_count == 1, batches.c.attempts > 0
        )
    ).one_or_none()
    return None if row is None else QueuedBatch(row.id, row.root, tuple(row.paths))
