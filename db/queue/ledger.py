"""The ledger: ingests and batches, and every step forward of a batch's life as one named query.

pending --take--> queued --claim--> running --finish--> done. The steps back are in
`db.queue.recovery`. All of them may run at any time, twice, and in several processes at once: each
checks the state it expects in the statement that changes it.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
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
    is_held_by,
)
from db.states import BatchState
from db.tables import PENDING, batches, ingests

#: The longest that a batch waits after a transient failure.
LONGEST_BACKOFF_SECONDS: Final = 300.0


def require_writable(connection: Connection) -> None:
    """Raise what the database answers to a write, while it is read-only; change nothing."""
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


def standing_ingest(connection: Connection, source: str, *, seconds: float) -> int:
    """Return the latest ingest from a source that never ends; begin one when it is this old.

    Two producers at once may begin one each. Both then add to the later one, and the other holds
    what it held.
    """
    latest = (
        select(ingests.c.id)
        .where(ingests.c.source == source, ingests.c.started_at > now(-seconds))
        .order_by(ingests.c.id.desc())
        .limit(1)
    )
    found = connection.execute(latest).scalar_one_or_none()
    return open_ingest(connection, source) if found is None else int(found)


def add_progress(
    connection: Connection, ingest_id: int, *, found: int, skipped_unchanged: int, enqueued: int
) -> None:
    """Add to what the producers of a standing ingest have seen, as the last step of a transaction.

    Nothing of it is held back between two transactions, so it counts as submitted after each.
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
    """Write one batch, pending. Its commit is the promise to the producer.

    - `seen`: whether the producer saw any of its files.
    - `suspect`: whether its one sound is thought to end its readers.
    - `interactive`: whether somebody waits for it.
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
    """Whether any batch waits for a message, now or later."""
    query = select(literal(1)).where(batches.c.state == BatchState.PENDING).limit(1)
    return connection.execute(query).first() is not None


def take_pending(connection: Connection, *, window: int, limit: int) -> list[QueuedBatch]:
    """Mark pending batches `queued`, while fewer than `window` of a library root are in flight.

    Of a root, because one that no worker has must not keep the others from being announced.

    Those that somebody waits for go first and are not held back by the window: they are few, and
    behind a night's work there may be no room in it for hours.

    Two dispatchers at once may overshoot the window by one round each; the window bounds memory in
    Redis, so an exact count under a lock would buy nothing.

    - `connection`: in a transaction; messages are sent after its commit.
    - `window`: most batches of a root queued or running at once.
    - `limit`: most batches of a root to take now.

    Returns those that somebody waits for, then the others by root; oldest first.
    """
    waited_for = text("interactive AND state = 'pending'")  # in the words of the index
    in_flight = root_names.in_flight(connection)
    taken: list[QueuedBatch] = []
    if connection.execute(
        select(literal(1)).select_from(batches).where(waited_for).limit(1)
    ).first():
        taken = _take(connection, waited_for, limit)
    urgent = Counter(batch.root for batch in taken)
    root = None
    while (root := root_names.next_pending_root(connection, root)) is not None:
        wanted = min(limit, window - in_flight.get(root, 0)) - urgent[root]
        if wanted > 0:
            taken += _take(connection, and_(PENDING, batches.c.root == root), wanted)
    return taken


def _take(
    connection: Connection, condition: ColumnElement[bool] | TextClause, limit: int
) -> list[QueuedBatch]:
    query = select(batches.c.id).where(condition, _is_due()).order_by(batches.c.id).limit(limit)
    return _mark_queued(connection, skip_locked(query))


def _is_due() -> ColumnElement[bool]:
    due_at = batches.c.due_at
    # A time that no back-off reaches was written before the clock was set back.
    return or_(due_at.is_(None), due_at <= now(), due_at > now(LONGEST_BACKOFF_SECONDS))


def refresh_stale(connection: Connection, *, stale_seconds: float, limit: int) -> list[QueuedBatch]:
    """Choose queued batches nobody claimed in time, whose message may be lost, for a new message.

    At most one more message a batch in each period; a duplicate claims nothing. A batch that was
    queued so far in the future counts too: the database's clock was set back since.
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
    return _mark_queued(connection, chosen)


def _mark_queued(connection: Connection, chosen: Select[tuple[int]]) -> list[QueuedBatch]:
    # A common table expression, because that is evaluated once. As a plain subquery PostgreSQL may
    # run it anew for each row it looks at, and a LIMIT that skips locked rows then limits nothing.
    once = chosen.cte("chosen")
    rows = connection.execute(
        update(batches)
        .where(batches.c.id == once.c.id)
        .values(state=BatchState.QUEUED, queued_at=now())
        .returning(
            batches.c.id,
            batches.c.ingest_id,
            batches.c.root,
            batches.c.paths,
            # Not whether it is NULL: in RETURNING, SQLite finds nothing NULL.
            batches.c.started_at,
            batches.c.suspect,
            batches.c.interactive,
        )
    ).all()
    taken = [
        QueuedBatch(
            row.id,
            row.ingest_id,
            row.root,
            tuple(row.paths),
            again=row.started_at is not None and not row.suspect,
            interactive=row.interactive,
        )
        for row in rows
    ]
    return sorted(taken, key=lambda batch: batch.id)


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
        .where(batches.c.state.in_((BatchState.PENDING, BatchState.QUEUED)), _is_due())
        .order_by(batches.c.id)
        .limit(1)
    )
    marked = _mark_queued(connection, chosen)
    return marked[0].id if marked else None


def claim(
    connection: Connection, batch_id: int, *, token: str, worker: str, lease_seconds: float
) -> ClaimedBatch | None:
    """Take a queued batch under a lease, or learn that it is not to be had.

    Its sounds are read after the commit (`db.queue.batch.held_entries`): a worker that dies of
    their number holds the batch by then, so that the attempt counts.

    Returns None for a second copy of a message, and for a batch that is done.
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
    """Close a batch, if this token still holds it.

    - `classified`, `failed`: sounds by outcome.
    - `entries`: its sounds, those that were classified if any were; the row keeps the first
      (`db.queue.batch.columns_when_done`).

    Returns False when the lease was lost and somebody else has the batch. The caller rolls back, so
    that a worker that slept through its lease writes nothing.
    """
    result = connection.execute(
        update(batches)
        .where(is_held_by(batch_id, token))
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
    """Put a batch nobody holds back to pending, not to be taken before this has passed."""
    connection.execute(
        update(batches)
        .where(
            batches.c.id == batch_id,
            batches.c.state.in_((BatchState.PENDING, BatchState.QUEUED)),
        )
        .values(state=BatchState.PENDING, queued_at=None, due_at=now(seconds))
    )


def recall_deferred(connection: Connection) -> None:
    """Let all deferred batches be taken at once: somebody who may have mended the cause asks."""
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
