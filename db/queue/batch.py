"""Batches as they are stored, announced and claimed, and the conversions between these."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, RowMapping, and_, select, update

from db.dialects import now
from db.states import BatchState
from db.tables import batches

log = logging.getLogger(__name__)

#: Why a batch was closed without an attempt to read its sounds, for users.
MALFORMED: Final = (
    "malformed batch: its paths, packs and vendors are not three lists of texts of the same length"
)


class BatchEntry(NamedTuple):
    """One sound of a batch.

    - `path`: as written by `classifier.files.paths.path_text`; relative to its root.
    """

    path: str
    pack: str
    vendor: str


@dataclass(frozen=True, slots=True)
class QueuedBatch:
    """A batch that was just marked `queued` and now needs a message.

    - `ingest_id`: the ingest it belongs to.
    - `root`: name of the library root.
    - `again`: whether it was claimed before and returned, so that it has waited once already. False
      for a suspect batch, which may wait longer than others.
    - `interactive`: whether a user waits for it.
    """

    id: int
    ingest_id: int
    root: str
    paths: tuple[str, ...]
    again: bool = False
    interactive: bool = False


@dataclass(frozen=True, slots=True)
class ClaimedBatch:
    """A batch that this worker has claimed, until its lease expires.

    Its sounds are not included (`claimed_entries` returns them): they may need more memory than the
    process has, and an attempt must be counted without reading them.

    - `token`: proof of the claim; `finish`, `hand_back` and `count_attempt` check it.
    - `attempts`: earlier claims that ended in a crash, a time-out or a bug.
    - `transient_failures`: transient failures in a row.
    - `seen`: whether the producer saw any of its files.
    - `waited_seconds`: from being written to this claim, by the database's clock.
    """

    id: int
    ingest_id: int
    root: str
    sound_count: int
    token: str
    attempts: int
    transient_failures: int = 0
    seen: bool = True
    waited_seconds: float = 0.0


#: The columns that `claimed_batch` needs: small, however large the batch is.
CLAIM_COLUMNS: Final = (
    batches.c.id,
    batches.c.ingest_id,
    batches.c.root,
    batches.c.sound_count,
    batches.c.token,
    batches.c.attempts,
    batches.c.setbacks,
    batches.c.seen,
    batches.c.interactive,
    batches.c.created_at,
    batches.c.started_at,
)


def columns(entries: Sequence[BatchEntry]) -> dict[str, Any]:
    """Return the column values that describe a batch's sounds."""
    return {
        "paths": [entry.path for entry in entries],
        "packs": [entry.pack for entry in entries],
        "vendors": [entry.vendor for entry in entries],
        "sound_count": len(entries),
    }


def columns_when_done(entries: Sequence[BatchEntry]) -> dict[str, Any]:
    """Return the column values that describe a done batch's sounds: only the first sound is kept.

    It shows the user which part of a library the batch was from, and `db.transfer` which root. The
    others are dropped, because each has a row in `sounds` by then, and the lists would take as much
    space as those rows. `sound_count` is not changed.
    """
    values = columns(entries[:1])
    del values["sound_count"]
    return values


def has_valid_paths(paths: Any) -> bool:
    """Whether a value of the column `paths` is a list of paths, as `columns` writes it."""
    return _is_list_of_texts(paths) and paths != []


def _are_valid_lists(paths: Any, packs: Any, vendors: Any) -> bool:
    return (
        has_valid_paths(paths)
        and _is_list_of_texts(packs)
        and _is_list_of_texts(vendors)
        and len(paths) == len(packs) == len(vendors)
    )


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def queued_batches(connection: Connection, rows: Sequence[Row[Any]]) -> list[QueuedBatch]:
    """Return the batches of rows that were marked `queued`; close malformed ones instead.

    Another program may have written to the table. A malformed row must not keep the others from
    being announced.
    """
    malformed = [row.id for row in rows if not _are_valid_lists(row.paths, row.packs, row.vendors)]
    if malformed:
        connection.execute(
            update(batches)
            .where(batches.c.id.in_(malformed))
            .values(
                state=BatchState.DONE,
                finished_at=now(),
                classified=0,
                failed=batches.c.sound_count,
                reason=MALFORMED,
                **columns_when_done(()),
            )
        )
        for batch_id in malformed:
            log.error(
                "batch %d: %s; it is closed and its sounds count as failed", batch_id, MALFORMED
            )
    queued = [
        QueuedBatch(
            row.id,
            row.ingest_id,
            row.root,
            tuple(row.paths),
            again=row.started_at is not None and not row.suspect,
            interactive=row.interactive,
        )
        for row in rows
        if row.id not in malformed
    ]
    return sorted(queued, key=lambda batch: batch.id)


def claimed_entries(connection: Connection, batch_id: int, *, token: str) -> list[BatchEntry]:
    """Return the sounds of a claimed batch, in order; an empty list when the lease was lost.

    The list is also empty if another program made the batch malformed after it was queued. Its
    lease then expires, and `queued_batches` closes it.
    """
    query = select(batches.c.paths, batches.c.packs, batches.c.vendors)
    row = connection.execute(query.where(is_claimed_with(batch_id, token))).one_or_none()
    if row is None or not _are_valid_lists(*row):
        return []
    return [BatchEntry(*entry) for entry in zip(row.paths, row.packs, row.vendors, strict=True)]


def claimed_batch(row: RowMapping) -> ClaimedBatch:
    """Return the batch of a running row that has the `CLAIM_COLUMNS`."""
    return ClaimedBatch(
        id=row["id"],
        ingest_id=row["ingest_id"],
        root=row["root"],
        sound_count=row["sound_count"],
        token=row["token"],
        attempts=row["attempts"],
        transient_failures=row["setbacks"],
        seen=row["seen"],
        waited_seconds=max(0.0, (row["started_at"] - row["created_at"]).total_seconds()),
    )


def is_claimed_with(batch_id: int, token: str) -> ColumnElement[bool]:
    """Return the condition that a batch is running and was claimed with this token."""
    return and_(
        batches.c.id == batch_id, batches.c.token == token, batches.c.state == BatchState.RUNNING
    )


def released_claim() -> dict[str, Any]:
    """Return the column values that release a batch's claim."""
    return {
        "state": BatchState.PENDING,
        "token": None,
        "worker": None,
        "lease_expires_at": None,
        "queued_at": None,
        "due_at": None,
    }
