"""How far each ingest is, counted from its batches at each call."""

from dataclasses import dataclass

from sqlalchemy import Connection, case, func, select

from db.tables import BatchState, batches, ingests


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """How far an ingest is, counted from its batches.

    Attributes
    ----------
    found, ignored, skipped_unchanged, enqueued : int
        What the producer saw, in files.
    submitted : bool
        Whether the producer has written its last batch.
    classified, failed : int
        Sounds with a final row.
    open_batches : int
        Batches not done yet.
    """

    id: int
    source: str
    found: int
    ignored: int
    skipped_unchanged: int
    enqueued: int
    submitted: bool
    classified: int
    failed: int
    open_batches: int

    @property
    def finished(self) -> bool:
        """Whether every sound of it has a row."""
        return self.submitted and self.open_batches == 0


def progress(
    connection: Connection, *, ingest_id: int | None = None, limit: int = 10
) -> list[IngestProgress]:
    """Return the latest ingests, or one, newest first."""
    chosen = select(ingests).order_by(ingests.c.id.desc()).limit(limit)
    if ingest_id is not None:
        chosen = chosen.where(ingests.c.id == ingest_id)
    chosen_rows = chosen.subquery()
    done = func.coalesce(func.sum(batches.c.classified), 0)
    failed = func.coalesce(func.sum(batches.c.failed), 0)
    is_open = batches.c.state != BatchState.DONE  # of no batch at all it is not true either
    rows = connection.execute(
        select(
            chosen_rows,
            done.label("done"),
            failed.label("failed_sounds"),
            func.coalesce(func.sum(case((is_open, 1), else_=0)), 0).label("open_batches"),
        )
        .select_from(chosen_rows.outerjoin(batches, batches.c.ingest_id == chosen_rows.c.id))
        .group_by(*chosen_rows.c)
        .order_by(chosen_rows.c.id.desc())
    ).all()
    return [
        IngestProgress(
            id=row.id,
            source=row.source,
            found=row.found,
            ignored=row.ignored,
            skipped_unchanged=row.skipped_unchanged,
            enqueued=row.enqueued,
            submitted=row.submitted_at is not None,
            classified=int(row.done),
            failed=int(row.failed_sounds),
            open_batches=int(row.open_batches),
        )
        for row in rows
    ]
