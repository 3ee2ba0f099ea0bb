"""Work that is not done, by library root: how long nobody took it, and what keeps coming back."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, case, func, select

from db.dialects import now, seconds_since
from db.states import BatchState
from db.tables import batches

#: Clocks are corrected by less all the time.
_CLOCK_TOLERANCE: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class RootWork:
    """The batches of a library root that are not done.

    - `waiting`: those that are pending or queued.
    - `unclaimed_seconds`: since any of the root's was last claimed, or since the oldest of these
      was written if that is shorter; zero when none waits.
    - `returned`: those that came back after a transient fault, `setbacks` times in a row at most.
    - `reason`: why, of the one that came back most often.
    """

    root: str
    waiting: int
    unclaimed_seconds: float
    returned: int
    setbacks: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class OpenWork:
    """The batches that are not done; `roots` in the order of their names."""

    roots: tuple[RootWork, ...] = ()

    @property
    def waiting(self) -> int:
        """How many batches are pending or queued."""
        return sum(work.waiting for work in self.roots)

    @property
    def without_root(self) -> int:
        """How many of these have absolute paths, which only a process without a broker reads."""
        return sum(work.waiting for work in self.roots if not work.root)

    @property
    def unclaimed_seconds(self) -> float:
        """For how long nobody claimed any of the root that has waited longest; zero: none waits."""
        return max((work.unclaimed_seconds for work in self.roots), default=0.0)


def open_work(connection: Connection) -> OpenWork:
    """Return the work that is not done, by one clock."""
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
        # What lies further ahead was written before the database's clock was set back.
        latest = row.moment + _CLOCK_TOLERANCE
        # Ordered and not max(): SQLite and PostgreSQL then read few entries of the index.
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
