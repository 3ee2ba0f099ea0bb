"""cratesort as users run it: through Redis and PostgreSQL, or in one process."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from sqlalchemy import Engine, func, select

from db.engine import create_engine, reading
from db.migrate import upgrade
from db.tables import batches, sounds
from tests.benchmarks.throughput.processor import cpu_seconds
from tests.support.command_line import clean_environment
from tests.support.processes import worker
from tests.support.servers import PostgresServer, RedisServer

_CHILDREN: Final = 2
#: A worker that has just said it is ready still starts its watch.
_SETTLING_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Run:
    """What one system took for a library.

    Attributes
    ----------
    files : int
    seconds : float
    cpu_seconds : float
        Of all processes that took part.
    parts : dict of str to float
        Of those, by who used them.
    """

    files: int
    seconds: float
    cpu_seconds: float
    parts: dict[str, float]

    @property
    def rate(self) -> float:
        """Files a second."""
        return self.files / self.seconds

    @property
    def cpu_per_thousand(self) -> float:
        """Processor seconds for a thousand files."""
        return 1000 * self.cpu_seconds / self.files


def through_queue(
    library: Path,
    folder: Path,
    redis: RedisServer,
    postgres: PostgresServer,
    name: str = "bench",
    fill: Callable[[Engine], None] = lambda _: None,
    more: Mapping[str, str] = MappingProxyType({}),
) -> Run:
    """Ingest with a worker of two children; from the command to the last row.

    Parameters
    ----------
    library, folder : Path
        Of the sounds, and for what the processes leave.
    redis, postgres
    name : str
        Of a database of its own.
    fill : callable
        Puts other rows into it before.
    more : mapping of str to str
        Settings besides.
    """
    postgres.create_database(name)
    settings = {
        "CRATESORT_BROKER_URL": redis.url,
        "CRATESORT_DATABASE_URL": postgres.database_url(name),
        "CRATESORT_LIBRARY_ROOTS": f"library={library}",
        "CRATESORT_DATA_FOLDER": str(folder / name),
        **more,
    }
    upgrade(settings["CRATESORT_DATABASE_URL"])
    database = create_engine(settings["CRATESORT_DATABASE_URL"])
    fill(database)
    before = _count(database)
    with worker(("--concurrency", str(_CHILDREN)), folder, settings) as service:
        time.sleep(_SETTLING_SECONDS)
        pids = {"worker": service.pid, "redis": redis.pid, "postgres": postgres.pid}
        used = {part: cpu_seconds(pid) for part, pid in pids.items()}
        began = time.time()
        producer = _ingest(library, folder, settings, "--wait")
        parts = {part: cpu_seconds(pid) - used[part] for part, pid in pids.items()}
    parts["producer"] = producer
    files = _count(database) - before
    with reading(database) as connection:
        ended = connection.execute(select(func.max(batches.c.finished_at))).scalar_one()
    database.dispose()
    # One machine, one clock: PostgreSQL's is the one we read.
    return Run(files, ended.timestamp() - began, sum(parts.values()), parts)


def in_process(library: Path, folder: Path) -> Run:
    """Ingest in one process with SQLite; from the command to its end."""
    settings = {"CRATESORT_DATA_FOLDER": str(folder / "embedded")}
    began = time.monotonic()
    used = _ingest(library, folder, settings, "--wait")
    seconds = time.monotonic() - began
    database = create_engine(f"sqlite:///{folder}/embedded/cratesort.db")
    files = _count(database)
    database.dispose()
    return Run(files, seconds, used, {"process": used})


def _count(database: Engine) -> int:
    with reading(database) as connection:
        return int(connection.execute(select(func.count()).select_from(sounds)).scalar_one())


def _ingest(library: Path, folder: Path, settings: dict[str, str], *options: str) -> float:
    """Run the command to its end and return the processor seconds it used."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "ingest", *options, str(library)],
        env=clean_environment(folder, settings),
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"cratesort ingest ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime
