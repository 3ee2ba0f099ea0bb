"""The ledger: ingests and batches, and one named query for each step from pending to done.

pending --take--> queued --claim--> running --finish--> done. The steps back to pending are in
`db.queue.recovery`. All of them are safe to repeat and to run in several processes at once: each
checks the state it expects in the statement that changes it.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    TextClause,
    and_,
    false,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)

from db.dialects import now, skip_locked, without_waiting
from db.queue import root_names
from db.queue.batch import (
    CLAIM_COLUMNS,
    BatchEntry,
    ClaimedBatch,
    QueuedBatch,
    claimed_batch,
    columns,
    columns_when_done,
    is_claimed_with,
    queued_batches,
)
from db.states import BatchState
from db.tables import PENDING, batches, ingests

#: The longest delay before a batch is tried again after a transient failure.
LONGEST_BACKOFF_SECONDS: Final = 300.0


def require_writable(connection: Connection) -> None:
    """Raise the database's error (`db.errors.is_read_only`) if it is read-only; change nothing."""
    with without_waiting(connection):
        connection.execute(update(batches).where(false()).values(attempts=0))


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
    """Write the producer's counts so far; `submitted`: it has written its last batch."""
    values: dict[str, Any] = {
        "found": found,
        "ignored": ignored,
        "skipped_unchanged": skipped_unchanged,
        "enqueued": enqueued,
    }
    if submitted:
        values["submitted_at"] = now()
    connection.execute(update(ingests).where(ingests.c.id == ingest_id).values(**values))


def current_ingest(connection: Connection, source: str, *, seconds: float) -> int:
    """Return the current ingest of a continuous source; begin a new one if it is too old.

    Two concurrent producers may each begin one. Later calls return the newer of the two.

    - `seconds`: the age from which a new ingest is begun.
    """
    latest = (
        select(ingests.c.id)
        .where(ingests.c.source == source, ingests.c.started_at > now(-seconds))
        .order_by(ingests.c.id.desc())
        .limit(1)
    )
    ingest_id = connection.execute(latest).scalar_one_or_none()
    return open_ingest(connection, source) if ingest_id is None else int(ingest_id)


def add_progress(
    connection: Connection, ingest_id: int, *, found: int, skipped_unchanged: int, enqueued: int
) -> None:
    """Add to the producers' counts of a standing ingest, as the last step of a transaction.

    The ingest counts as submitted after each call, because a producer writes all its batches before
    it commits.
    """
    connection.execute(
        update(ingests)
        .where(ingests.c.id == ingest_id)
        .values(
            found=ingests.c.found + found,
            skipped_unchanged=ingests.c.skipped_unchanged + skipped_unchanged,
            enqueued=ingests.c.enqueued + enqueued,
            submitted_at=now(),
        )
    )


def add_batch(
    connection: Connection,
    ingest_id: int,
    root: str,
    entries: Sequence[BatchEntry],
    *,
    seen: bool = True,
    suspect: bool = False,
    interactive: bool = False,
) -> None:
    """Write one pending batch. Once that is committed, the producer may rely on it.

    - `seen`: whether the producer saw any of its files.
    - `suspect`: whether it is a single sound that is suspected of crashing workers.
    - `interactive`: whether a user waits for it.
    """
    connection.execute(
        insert(batches).values(
            ingest_id=ingest_id,
            root=root,
            **columns(entries),
            state=BatchState.PENDING,
            seen=seen,
            suspect=suspect,
            interactive=interactive,
            created_at=now(),
        )
    )


def has_pending(connection: Connection) -> bool:
    """Whether any batch is pending, deferred ones included."""
    query = select(literal(1)).where(batches.c.state == BatchState.PENDING).limit(1)
    return connection.execute(query).first() is not None


def take_pending(connection: Connection, *, window: int, limit: int) -> list[QueuedBatch]:
    """Mark pending batches `queued`, while fewer than `window` of a library root are in flight.

    The window is per root, so that a root that no worker has does not block the others.

    Interactive batches go first and ignore the window: they are few, and a night's work may fill
    the window for hours.

    Two concurrent dispatchers may each exceed the window by one round. An exact count under a lock
    is not needed: the window only bounds the memory of Redis.

    - `connection`: in a transaction; send the messages after its commit.
    - `window`: the most batches of a root that are queued or running at once.
    - `limit`: the most batches of a root to take now.

    Returns interactive batches, then the others by root; oldest first.
    """
    waited_for = text("interactive AND state = 'pending'")  # exactly as in the index
    in_flight = root_names.in_flight(connection)
    queued: list[QueuedBatch] = []
    if connection.execute(
        select(literal(1)).select_from(batches).where(waited_for).limit(1)
    ).first():
        queued = _take(connection, waited_for, limit)
    urgent = Counter(batch.root for batch in queued)
    root = None
    while (root := root_names.next_pending_root(connection, root)) is not None:
        room = min(limit, window - in_flight.get(root, 0)) - urgent[root]
        if room > 0:
            queued += _take(connection, and_(PENDING, batches.c.root == root), room)
    return queued


def _take(
    connection: Connection, condition: ColumnElement[bool] | TextClause, limit: int
) -> list[QueuedBatch]:
    query = select(batches.c.id).where(condition, _is_due()).order_by(batches.c.id).limit(limit)
    return queued_batches(connection, _mark_queued(connection, skip_locked(query)))


def _is_due() -> ColumnElement[bool]:
    due_at = batches.c.due_at
    # A time further ahead than any back-off was written before the clock was set back.
    return or_(due_at.is_(None), due_at <= now(), due_at > now(LONGEST_BACKOFF_SECONDS))


def refresh_stale(connection: Connection, *, stale_seconds: float, limit: int) -> list[QueuedBatch]:
    """Choose queued batches that were not claimed in time; the caller sends them a new message.

    Their first message may be lost. If not, the duplicate claims nothing. Each batch is chosen at
    most once per `stale_seconds`. A batch that was queued as far in the future is chosen, too: the
    database's clock was set back since.
    """
    chosen = skip_locked(
        select(batches.c.id)
        .where(
            batches.c.state == BatchState.QUEUED,
            or_(
                batches.c.queued_at < now(-stale_seconds), batches.c.queued_at > now(stale_seconds)
            ),
        )
        .order_by(batches.c.id)
        .limit(limit)
    )
    return queued_batches(connection, _mark_queued(connection, chosen))


def _mark_queued(connection: Connection, chosen: Select[tuple[int]]) -> Sequence[Row[Any]]:
    # A common table expression, because that is evaluated once. PostgreSQL may run a plain subquery
    # again for each row, and a LIMIT that skips locked rows would then have no effect.
    once = chosen.cte("chosen")
    return connection.execute(
        update(batches)
        .where(batches.c.id == once.c.id)
        .values(state=BatchState.QUEUED, queued_at=now())
        .returning(
            batches.c.id,
            batches.c.ingest_id,
            batches.c.root,
            batches.c.paths,
            batches.c.packs,
            batches.c.vendors,
            # Compared with NULL below, in Python: in RETURNING, SQLite's IS NULL is never true.
            batches.c.started_at,
            batches.c.suspect,
            batches.c.interactive,
        )
    ).all()


def unqueue(connection: Connection, batch_ids: Sequence[int]) -> None:
    """Return batches to pending when their message could not be sent."""
    connection.execute(
        update(batches)
        .where(batches.c.id.in_(batch_ids), batches.c.state == BatchState.QUEUED)
        .values(state=BatchState.PENDING, queued_at=None)
    )


def next_open(connection: Connection) -> int | None:
    """Mark the oldest pending or queued batch `queued`, and return its id; None without any.

    For workers without a broker. If another process takes the same batch, only one `claim`
    succeeds.
    """
    # Locked: otherwise PostgreSQL could mark a batch `queued` that was claimed in the meantime.
    chosen = skip_locked(
        select(batches.c.id)
        .where(batches.c.state.in_((BatchState.PENDING, BatchState.QUEUED)), _is_due())
        .order_by(batches.c.id)
        .limit(1)
    )
    while rows := _mark_queued(connection, chosen):
        if queued := queued_batches(connection, rows):
            return queued[0].id
    return None


def claim(
    connection: Connection, batch_id: int, *, token: str, worker: str, lease_seconds: float
) -> ClaimedBatch | None:
    """Claim a queued batch under a lease.

    Read its sounds after the commit (`db.queue.batch.claimed_entries`): if their number crashes the
    worker, the batch is then claimed, and the attempt is counted.

    Returns None when the batch is not queued: the message is a duplicate, or the batch is done.
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
            .returning(*CLAIM_COLUMNS)
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else claimed_batch(row)


def finish(
    connection: Connection,
    batch_id: int,
    *,
    token: str,
    classified: int,
    failed: int,
    entries: Sequence[BatchEntry] = (),
) -> bool:
    """Close a batch, if it is still claimed with this token.

    - `classified`, `failed`: number of sounds by outcome.
    - `entries`: the classified sounds, or all if none was classified; the row keeps the first
      (`db.queue.batch.columns_when_done`).

    Returns False when the lease was lost. The caller then rolls back, so that a worker whose lease
    has expired writes nothing.
    """
    result = connection.execute(
        update(batches)
        .where(is_claimed_with(batch_id, token))
        .values(
            state=BatchState.DONE,
            token=None,
            lease_expires_at=None,
            finished_at=now(),
            classified=classified,
            failed=failed,
            **columns_when_done(entries),
        )
    )
    return result.rowcount == 1


def defer(connection: Connection, batch_id: int, *, seconds: float) -> None:
    """Return an unclaimed batch to pending, and do not take it before `seconds` have passed."""
    connection.execute(
        update(batches)
        .where(
            batches.c.id == batch_id,
            batches.c.state.in_((BatchState.PENDING, BatchState.QUEUED)),
        )
        .values(state=BatchState.PENDING, queued_at=None, due_at=now(seconds))
    )


def recall_deferred(connection: Connection) -> None:
    """Make all deferred batches available now: the user may have fixed what made them fail."""
    connection.execute(
        update(batches)
        .where(batches.c.state == BatchState.PENDING, batches.c.due_at.is_not(None))
        .values(due_at=None)
    )


def ingest_of(connection: Connection, batch_id: int) -> int:
    """Return the ingest a batch belongs to."""
    query = select(batches.c.ingest_id).where(batches.c.id == batch_id)
    return int(connection.execute(query).scalar_one())


def has_open_batches(connection: Connection, ingest_id: int) -> bool:
    """Whether an ingest has batches that are not done."""
    query = select(batches.c.id).where(
        batches.c.ingest_id == ingest_id, batches.c.state != BatchState.DONE
    )
    return connection.execute(query.limit(1)).first() is not None
