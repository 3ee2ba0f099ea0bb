"""Which hosts are working and how fast each ingest goes, counted from the rows of batches.

A worker that has no batch, and finished none lately, is not included: no row names it.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Connection, func, or_, select

from db.dialects import now
from db.states import BatchState
from db.tables import batches


@dataclass(slots=True)
class HostActivity:
    """What one host is working on, and what it finished within the last minute.

    - `processes`: number of processes that run a batch or finished one; some may have ended since.
    - `running_batches`: batches that are running.
    """

    processes: int = 0
    running_batches: int = 0
    files_per_second: float = 0.0


@dataclass(slots=True)
class Work:
    """The work of the last minute.

    - `hosts`: by host name.
    - `ingest_files_per_second`: by ingest id; ingests without a finished batch are absent.
    """

    hosts: dict[str, HostActivity] = field(default_factory=dict)
    ingest_files_per_second: dict[int, float] = field(default_factory=dict)


def work(connection: Connection, *, over_seconds: float = 60.0) -> Work:
    """Return which hosts worked within the last `over_seconds`, and how fast.

    Rates are computed over that time, or over the time since the first batch was claimed if that is
    shorter. Otherwise an ingest that takes ten seconds would be averaged over a minute.
    """
    # Read first and passed as a value, so that PostgreSQL can estimate how few rows match.
    moment = connection.execute(select(now())).scalar_one()
    # Bounded above, too: the clock may have been set back since a batch was finished.
    lately = batches.c.finished_at.between(moment - timedelta(seconds=over_seconds), moment)
    is_running = batches.c.state == BatchState.RUNNING
    rows = connection.execute(
        select(
            batches.c.worker,
            batches.c.ingest_id,
            batches.c.state,
            func.count().label("batches"),
            func.sum(batches.c.sound_count).label("sounds"),
            func.min(batches.c.started_at).label("since"),
        )
        .where(or_(lately, is_running), batches.c.worker.is_not(None))
        .group_by(batches.c.worker, batches.c.ingest_id, batches.c.state)
    ).all()

    activity = Work()
    processes: dict[str, set[str]] = defaultdict(set)
    host_sounds: dict[str, int] = defaultdict(int)
    host_seconds: dict[str, float] = defaultdict(float)
    ingest_sounds: dict[int, int] = defaultdict(int)
    ingest_seconds: dict[int, float] = defaultdict(float)
    for row in rows:
        name = row.worker.split(":", 1)[0]  # host:pid:nonce
        host = activity.hosts.setdefault(name, HostActivity())
        processes[name].add(row.worker)
        host.processes = len(processes[name])
        if row.state == BatchState.RUNNING:
            host.running_batches += row.batches
            continue
        seconds = min(over_seconds, max(1.0, (moment - row.since).total_seconds()))
        host_sounds[name] += int(row.sounds)
        host_seconds[name] = max(host_seconds[name], seconds)
        ingest_sounds[row.ingest_id] += int(row.sounds)
        ingest_seconds[row.ingest_id] = max(ingest_seconds[row.ingest_id], seconds)
    for name, count in host_sounds.items():
        activity.hosts[name].files_per_second = count / host_seconds[name]
    activity.hosts = dict(sorted(activity.hosts.items()))
    activity.ingest_files_per_second = {
        ingest: count / ingest_seconds[ingest] for ingest, count in ingest_sounds.items()
    }
    return activity


def files_per_second(connection: Connection, *, over_seconds: float = 60.0) -> float:
    """Return the mean number of sounds finished per second within the last `over_seconds`."""
    finished = connection.execute(
        select(func.coalesce(func.sum(batches.c.sound_count), 0)).where(
            batches.c.finished_at.between(
                select(now(-over_seconds)).scalar_subquery(), select(now()).scalar_subquery()
            )
        )
    ).scalar_one()
    return round(int(finished) / over_seconds, 2)
