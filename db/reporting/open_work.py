"""Unfinished work by library root: how long it was not claimed, and what keeps being returned."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, case, func, select

from db.dialects import now, seconds_since
from db.states import BatchState
from db.tables import batches

#: Ordinary clock corrections are smaller than this.
_CLOCK_TOLERANCE: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class RootWork:
    """The batches of a library root that are not done.

    - `waiting`: batches that are pending or queued.
    - `unclaimed_seconds`: time since a batch of the root was last claimed, or since the oldest
      waiting batch was written, whichever is shorter; zero when none waits.
    - `returned`: batches that were returned to the queue after a transient error.
    - `setbacks`: the most transient errors in a row of one batch.
    - `reason`: why the batch with the most setbacks was returned.
    """

    root: str
    waiting: int
    unclaimed_seconds: float
    returned: int
    setbacks: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class OpenWork:
    """The batches that are not done; `roots` are sorted by name."""

    roots: tuple[RootWork, ...] = ()

    @property
    def waiting(self) -> int:
        """How many batches are pending or queued."""
        return sum(work.waiting for work in self.roots)

    @property
    def without_root(self) -> int:
        """How many waiting batches have absolute paths, readable only without a broker."""
        return sum(work.waiting for work in self.roots if not work.root)

    @property
    def unclaimed_seconds(self) -> float:
        """The longest `unclaimed_seconds` of a root; zero when no batch waits."""
        return max((work.unclaimed_seconds for work in self.roots), default=0.0)


def open_work(connection: Connection) -> OpenWork:
    """Return the batches that are not done; all ages are measured at the same moment."""
    waits = batches.c.state.in_((BatchState.PENDING, BatchState.QUEUED))
    rows = connection.execute(
        select(
            batches.c.root,
            func.sum(case((waits, 1), else_=0)).label("waiting"),
            func.min(case((waits, batches.c.created_at))).label("oldest"),
            func.sum(case((batches.c.setbacks > 0, 1), else_=0)).label("returned"),
            func.max(batches.c.setbacks).label("setbacks"),
            select(now()).scalar_subquery().label("moment"),
        )
        .where(batches.c.state != BatchState.DONE)
        .group_by(batches.c.root)
        .order_by(batches.c.root)
    ).all()
    return OpenWork(tuple(_work_of(connection, row) for row in rows))


def _work_of(connection: Connection, row: Any) -> RootWork:
    unclaimed_seconds, reason = 0.0, None
    if row.waiting:
        # A time further in the future was written before the database's clock was set back.
        latest = row.moment + _CLOCK_TOLERANCE
        # ORDER BY and LIMIT, not max(): SQLite and PostgreSQL then read few entries of the index.
        claimed_last = (
            select(batches.c.started_at)
            .where(batches.c.started_at <= latest, batches.c.root == row.root)
            .order_by(batches.c.started_at.desc())
            .limit(1)
        )
        claimed = connection.execute(claimed_last).scalar_one_or_none()
        known = [moment for moment in (row.oldest, claimed) if moment and moment <= latest]
        unclaimed_seconds = seconds_since(max(known, default=row.oldest), row.moment)
    if row.returned:
        oftenest = (
            select(batches.c.reason)
            .where(batches.c.state != BatchState.DONE, batches.c.root == row.root)
            .order_by(batches.c.setbacks.desc(), batches.c.id)
            .limit(1)
        )
        reason = connection.execute(oftenest).scalar_one()
    return RootWork(
        row.root, int(row.waiting), unclaimed_seconds, int(row.returned), row.setbacks, reason
    )
