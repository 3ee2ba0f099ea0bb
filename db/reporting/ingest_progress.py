"""The progress of each ingest, counted from its batches at each call."""

from dataclasses import dataclass

from sqlalchemy import Connection, case, func, select

from db.dialects import sum_of
from db.states import BatchState
from db.tables import batches, ingests


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """The progress of an ingest, counted from its batches.

    - `found`, `ignored`, `skipped_unchanged`, `enqueued`: files counted by the producer.
    - `submitted`: whether the producer has written its last batch.
    - `classified`, `failed`: sounds with a final row.
    - `open_batches`: batches not done yet.
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
        """Whether all batches were written and every sound has a row."""
        return self.submitted and self.open_batches == 0


def progress(
    connection: Connection, *, ingest_id: int | None = None, limit: int = 10
) -> list[IngestProgress]:
    """Return the latest ingests, newest first, or only the one with `ingest_id`."""
    latest = select(ingests).order_by(ingests.c.id.desc()).limit(limit)
    if ingest_id is not None:
        latest = latest.where(ingests.c.id == ingest_id)
    chosen = latest.subquery()
    is_open = batches.c.state != BatchState.DONE  # NULL where an ingest has no batch
    rows = connection.execute(
        select(
            chosen.c.id,
            chosen.c.source,
            chosen.c.found,
            chosen.c.ignored,
            chosen.c.skipped_unchanged,
            chosen.c.enqueued,
            chosen.c.submitted_at.is_not(None).label("submitted"),
            sum_of(batches.c.classified).label("classified"),
            sum_of(batches.c.failed).label("failed"),
            func.coalesce(func.sum(case((is_open, 1), else_=0)), 0).label("open_batches"),
        )
        .select_from(chosen.outerjoin(batches, batches.c.ingest_id == chosen.c.id))
        .group_by(*chosen.c)
        .order_by(chosen.c.id.desc())
    )
    return [IngestProgress(**row._asdict()) for row in rows]
