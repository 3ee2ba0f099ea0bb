"""Training runs: at most one at a time, claimed under a lease like a batch, and never deleted.

running --close_done--> done, running --close_failed / close_expired--> failed. Each statement
checks the state it expects, and all but `close_expired` check the token, so that a process whose
lease has expired cannot modify the run.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select, update

from db.dialects import insert, now
from db.registry import bundles
from db.states import RunState, RunTrigger, RunVerdict
from db.tables import training_runs

#: The reason of a run whose lease expired: it was killed, or its host or database was unavailable.
HEARTBEAT_STOPPED: Final = "its heartbeat stopped: the process was killed or its host is down"


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that this process has opened, until its lease expires.

    - `token`: proof of that; `heartbeat` and the closing functions check it.
    - `champion`: the model in use when the run began; None: the starter.
    """

    id: int
    token: str
    champion: str | None


class NotOpened(StrEnum):
    """Why no run was opened."""

    RUNNING = "running"
    SLOT_USED = "slot_used"


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A row of `training_runs`, without its report.

    - `slot`: the scheduled time; None: started by hand.
    - `lease_expired`: whether its lease has expired while its state is still running.
    - `holder`: ``host:pid``.
    - `stage`: what is being computed, or was computed last.
    - `libraries`: versions of the libraries it trains with, by name.
    - `sizes`, `metrics`: empty until the run is done.
    - `champion`: the model in use when it began; None: the starter.
    - `verdict`: None unless it is done.
    - `reason`: of the verdict, or of the failure.
    - `model_version`: None when there is no new model.
    - `last_label_id`: the newest row of `label_history` that it had read.
    """

    id: int
    slot: str | None
    trigger: str
    state: str
    lease_expired: bool
    holder: str
    stage: str | None
    seed: int
    libraries: dict[str, str]
    sizes: dict[str, Any]
    metrics: dict[str, Any]
    champion: str | None
    verdict: str | None
    reason: str | None
    model_version: str | None
    last_label_id: int | None
    started_at: datetime
    finished_at: datetime | None


#: The fields of `TrainingRun` that are columns.
_COLUMNS: Final = tuple(TrainingRun.__dataclass_fields__.keys() - {"lease_expired"})


def open_run(
    connection: Connection,
    *,
    slot: str | None,
    trigger: RunTrigger,
    lease_seconds: float,
    holder: str,
    seed: int,
    libraries: Mapping[str, str],
) -> OpenRun | NotOpened:
    """Begin a run, unless one is running or the slot was used; first close an expired one.

    - `connection`: in a transaction. Of concurrent calls only one opens a run, because of the
      table's unique indexes.
    - `slot`: the scheduled time, which can be used only once; None: started by hand, at any time.
    - `holder`: ``host:pid``, shown to users.
    - `libraries`: versions of the libraries it trains with, by name.
    """
    close_expired(connection, lease_seconds=lease_seconds)
    token = uuid.uuid4().hex
    champion = bundles.champion_version(connection)
    run_id = connection.execute(
        insert(connection, training_runs)
        .values(
            slot=slot,
            trigger=trigger,
            state=RunState.RUNNING,
            token=token,
            holder=holder,
            lease_expires_at=now(lease_seconds),
            seed=seed,
            libraries=dict(libraries),
            champion=champion,
            started_at=now(),
        )
        # No conflict target, because either of two unique indexes may conflict.
        .on_conflict_do_nothing()
        .returning(training_runs.c.id)
    ).scalar_one_or_none()
    if run_id is not None:
        return OpenRun(run_id, token, champion)
    if slot is not None:
        used = select(training_runs.c.id).where(training_runs.c.slot == slot)
        if connection.execute(used).first() is not None:
            return NotOpened.SLOT_USED
    return NotOpened.RUNNING


def heartbeat(
    connection: Connection, run_id: int, token: str, *, lease_seconds: float, stage: str | None
) -> bool:
    """Renew a run's lease and record its progress.

    Returns False when the run is closed, because the lease was lost.
    """
    result = connection.execute(
        update(training_runs)
        .where(_is_claimed_with(run_id, token))
        .values(lease_expires_at=now(lease_seconds), stage=stage)
    )
    return result.rowcount == 1


def close_done(
    connection: Connection,
    run_id: int,
    token: str,
    *,
    verdict: RunVerdict,
    reason: str,
    model_version: str | None,
    sizes: Mapping[str, Any],
    metrics: Mapping[str, Any],
    report: bytes | None,
    last_label_id: int,
) -> bool:
    """Close a run as done, if it is still open with this token.

    Returns False when the lease was lost. The caller then rolls back, so that a process whose lease
    has expired publishes nothing.
    """
    result = connection.execute(
        update(training_runs)
        .where(_is_claimed_with(run_id, token))
        .values(
            state=RunState.DONE,
            verdict=verdict,
            reason=reason,
            model_version=model_version,
            sizes=dict(sizes),
            metrics=dict(metrics),
            report=report,
            last_label_id=last_label_id,
            finished_at=now(),
        )
    )
    return result.rowcount == 1


def close_failed(connection: Connection, run_id: int, token: str, *, reason: str) -> bool:
    """Close a run that failed or was interrupted, if it is still open with this token."""
    result = connection.execute(
        update(training_runs)
        .where(_is_claimed_with(run_id, token))
        .values(state=RunState.FAILED, reason=reason, finished_at=now())
    )
    return result.rowcount == 1


def close_expired(connection: Connection, *, lease_seconds: float | None = None) -> list[int]:
    """Close runs whose lease has expired as failed, and return their ids.

    - `lease_seconds`: the length of a lease. A lease that ends more than twice as far in the future
      was written before the database's clock was set back, and its run is closed, too: a run that
      is alive renews its lease within a third of this time. None: such leases are not checked.
    """
    lease_ends = training_runs.c.lease_expires_at
    is_over = lease_ends < now()
    if lease_seconds is not None:
        is_over |= lease_ends > now(2 * abs(lease_seconds))
    closed = connection.execute(
        update(training_runs)
        .where(
            training_runs.c.state == RunState.RUNNING,
            is_over,
        )
        .values(state=RunState.FAILED, reason=HEARTBEAT_STOPPED, finished_at=now())
        .returning(training_runs.c.id)
    )
    return list(closed.scalars())


def was_completed_by(connection: Connection, run_id: int, token: str) -> bool:
    """Whether the run was closed as done with this token.

    This shows whether a commit succeeded when the connection was lost before its answer.
    """
    query = select(training_runs.c.id).where(
        training_runs.c.id == run_id,
        training_runs.c.token == token,
        training_runs.c.state == RunState.DONE,
    )
    return connection.execute(query).first() is not None


def get(connection: Connection, run_id: int) -> TrainingRun | None:
    """Return one run, None when there is no such run."""
    row = connection.execute(_runs().where(training_runs.c.id == run_id)).mappings().one_or_none()
    return None if row is None else _run(row)


def latest(connection: Connection) -> TrainingRun | None:
    """Return the run that began last, None without any."""
    return next(iter(recent(connection, limit=1)), None)


def recent(connection: Connection, *, limit: int) -> list[TrainingRun]:
    """Return the runs that began last, newest first."""
    rows = connection.execute(_runs().order_by(training_runs.c.id.desc()).limit(limit))
    return [_run(row) for row in rows.mappings()]


def made(connection: Connection, model_version: str) -> TrainingRun | None:
    """Return the run that made a model, None when there is none."""
    query = _runs().where(training_runs.c.model_version == model_version)
    row = connection.execute(query.order_by(training_runs.c.id.desc())).mappings().first()
    return None if row is None else _run(row)


def report_of(connection: Connection, model_version: str) -> bytes | None:
    """Return the report (HTML under gzip) of the run that made a model, None when there is none."""
    query = select(training_runs.c.report).where(training_runs.c.model_version == model_version)
    stored = connection.execute(query.order_by(training_runs.c.id.desc())).scalars().first()
    return None if stored is None else bytes(stored)


def learned_label_id(connection: Connection) -> int:
    """Return the id of the newest row of `label_history` that a finished run had read, or 0."""
    query = select(func.max(training_runs.c.last_label_id)).where(
        training_runs.c.state == RunState.DONE
    )
    return connection.execute(query).scalar_one() or 0


def _is_claimed_with(run_id: int, token: str) -> ColumnElement[bool]:
    return and_(
        training_runs.c.id == run_id,
        training_runs.c.token == token,
        training_runs.c.state == RunState.RUNNING,
    )


def _runs() -> Select[Any]:
    columns = [training_runs.c[name] for name in _COLUMNS]
    return select(*columns, (training_runs.c.lease_expires_at < now()).label("lease_over"))


def _run(row: Mapping[Any, Any]) -> TrainingRun:
    values = {name: row[name] for name in _COLUMNS}
    return TrainingRun(
        **{
            **values,
            "sizes": row["sizes"] or {},
            "metrics": row["metrics"] or {},
        },
        lease_expired=row["state"] == RunState.RUNNING and bool(row["lease_over"]),
    )
