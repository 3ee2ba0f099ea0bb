"""Training runs: at most one at a time, held under a lease like a batch, remembered for good.

running --close_done--> done, running --close_failed / close_expired--> failed. Each statement
checks the state it expects, and but for `close_expired` the token: who slept through its lease
changes nothing.
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

#: The reason of a run whose lease ended: it was killed, or its host or database went away.
FELL_SILENT: Final = "its process fell silent"


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run this process holds, until its lease expires.

    - `token`: proof of it; `heartbeat` and the closing functions ask for it.
    - `champion`: what served when the run began; None: the starter.
    """

    id: int
    token: str
    champion: str | None


class NotOpened(StrEnum):
    """Why there is no new run."""

    RUNNING = "running"
    SLOT_USED = "slot_used"


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A run as its row tells it, without its report.

    - `slot`: the schedule's moment; None: started by hand.
    - `silent`: running, and its lease is over: nobody has closed it yet.
    - `holder`: ``host:pid``.
    - `stage`: what is, or at last was, being computed.
    - `libraries`, `sizes`, `metrics`: the latter two empty until the run is done.
    - `champion`: what served when it began; None: the starter.
    - `verdict`: None unless it is done.
    - `reason`: of the verdict, or of the failure.
    - `model_version`: None when there is no new model.
    - `last_label_id`: the newest entry of the labels' history it had read.
    """

    id: int
    slot: str | None
    trigger: str
    state: str
    silent: bool
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
    """Begin a run, unless one is running or the slot was used; close one that fell silent first.

    - `connection`: in a transaction. Of any number at once one opens a run; the database itself
      sees to it.
    - `slot`: the schedule's moment, once and never again; None: by hand, at any time.
    - `holder`: ``host:pid``, for a person.
    - `libraries`: the versions of what will train.
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
        # No target: it is one of two unique indexes that is in the way.
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
    """Renew a run's lease and say how far it is.

    Returns False when the lease was lost, and the run is closed.
    """
    result = connection.execute(
        update(training_runs)
        .where(_is_held_by(run_id, token))
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
    """Close a run that came to its end, if this token still holds it.

    Returns False when the lease was lost; the caller rolls back, so that a zombie publishes
    nothing.
    """
    result = connection.execute(
        update(training_runs)
        .where(_is_held_by(run_id, token))
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
    """Close a run that failed or was interrupted, if this token still holds it."""
    result = connection.execute(
        update(training_runs)
        .where(_is_held_by(run_id, token))
        .values(state=RunState.FAILED, reason=reason, finished_at=now())
    )
    return result.rowcount == 1


def close_expired(connection: Connection, *, lease_seconds: float | None = None) -> list[int]:
    """Close runs whose lease is over as failed, and return their ids.

    - `lease_seconds`: of a trainer. A lease that ends more than twice as far ahead was written
      before the database's clock was set back; a living run renews it within a third of it.
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
        .values(state=RunState.FAILED, reason=FELL_SILENT, finished_at=now())
        .returning(training_runs.c.id)
    )
    return list(closed.scalars())


def was_done_by(connection: Connection, run_id: int, token: str) -> bool:
    """Whether this token closed the run as done: a commit whose answer was lost came through."""
    query = select(training_runs.c.id).where(
        training_runs.c.id == run_id,
        training_runs.c.token == token,
        training_runs.c.state == RunState.DONE,
    )
    return connection.execute(query).first() is not None


def get(connection: Connection, run_id: int) -> TrainingRun | None:
    """Return one run."""
    row = connection.execute(_runs().where(training_runs.c.id == run_id)).mappings().one_or_none()
    return None if row is None else _run(row)


def latest(connection: Connection) -> TrainingRun | None:
    """Return the run that began last."""
    return next(iter(recent(connection, limit=1)), None)


def recent(connection: Connection, *, limit: int) -> list[TrainingRun]:
    """Return the runs that began last, newest first."""
    rows = connection.execute(_runs().order_by(training_runs.c.id.desc()).limit(limit))
    return [_run(row) for row in rows.mappings()]


def made(connection: Connection, model_version: str) -> TrainingRun | None:
    """Return the run that made a model, None without one."""
    query = _runs().where(training_runs.c.model_version == model_version)
    row = connection.execute(query.order_by(training_runs.c.id.desc())).mappings().first()
    return None if row is None else _run(row)


def report_of(connection: Connection, model_version: str) -> bytes | None:
    """Return the report (HTML under gzip) of the run that made a model, None without one."""
    query = select(training_runs.c.report).where(training_runs.c.model_version == model_version)
    stored = connection.execute(query.order_by(training_runs.c.id.desc())).scalars().first()
    return None if stored is None else bytes(stored)


def learned_label_id(connection: Connection) -> int:
    """Return the newest entry of the labels' history that a finished run had read, 0 for none."""
    query = select(func.max(training_runs.c.last_label_id)).where(
        training_runs.c.state == RunState.DONE
    )
    return connection.execute(query).scalar_one() or 0


def _is_held_by(run_id: int, token: str) -> ColumnElement[bool]:
    return and_(
        training_runs.c.id == run_id,
        training_runs.c.token == token,
        training_runs.c.state == RunState.RUNNING,
    )


def _runs() -> Select[Any]:
    shown = [training_runs.c[name] for name in TrainingRun.__dataclass_fields__ if name != "silent"]
    return select(*shown, (training_runs.c.lease_expires_at < now()).label("lease_over"))


def _run(row: Mapping[Any, Any]) -> TrainingRun:
    values = {name: row[name] for name in TrainingRun.__dataclass_fields__ if name != "silent"}
    return TrainingRun(
        **{
            **values,
            "sizes": row["sizes"] or {},
            "metrics": row["metrics"] or {},
        },
        silent=row["state"] == RunState.RUNNING and bool(row["lease_over"]),
    )
