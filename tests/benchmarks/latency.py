"""Latency of interactive work during a bulk ingest: ``python -m tests.benchmarks.latency``.

A worker with two children processes a bulk ingest. A second worker serves only the queue
``interactive``, so that one child is free. Files are submitted one by one as interactive work. For
each file two times are measured: from the commit of its batch to its row, by the database clock,
and from the producer's call until the row can be read. Then the same without the second worker,
where a file waits until a child has finished a batch.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from pydantic import SecretStr
from sqlalchemy import select

from db.engine import create_engine, reading
from db.migrate import upgrade
from db.tables import batches
from tasks.producer.submission import submit
from tests.benchmarks.machine import machine
from tests.benchmarks.throughput.library import make_library
from tests.benchmarks.throughput.work import paths_below
from tests.support.command_line import run_as_process
from tests.support.processes import worker
from tests.support.servers import PostgresServer, RedisServer, running
from workers.settings import Settings

_PAUSE_SECONDS: Final = 0.1


def main() -> None:
    """Print a table of both cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200_000, help="of the bulk ingest")
    parser.add_argument("--times", type=int, default=200, help="interactive files")
    options = parser.parse_args()
    print(machine(), end="\n\n")
    print("| a free child | commit to row: p50 | p99 | call to row: p50 | p99 | bulk was running |")
    print("|---|---|---|---|---|---|")
    with (
        TemporaryDirectory() as name,
        running(RedisServer()) as redis,
        running(PostgresServer()) as postgres,
    ):
        folder = Path(name)
        library = make_library(folder, options.files)
        waited_for = make_library(folder / "waited for", options.times)
        files = [waited_for / path for path in paths_below(waited_for)]
        for free in (True, False):
            postgres.create_database(f"latency_{free}".lower())
            database_url = postgres.database_url(f"latency_{free}".lower())
            upgrade(database_url)
            settings = Settings(
                broker_url=SecretStr(redis.url),
                database_url=SecretStr(database_url),
                library_roots={"library": folder},
                data_folder=folder / str(free),
            )
            print(_measured(settings, library, files, free=free), flush=True)


def _measured(settings: Settings, library: Path, files: Sequence[Path], *, free: bool) -> str:
    folder = library.parent
    environment = {
        "CRATESORT_BROKER_URL": _secret(settings.broker_url),
        "CRATESORT_DATABASE_URL": _secret(settings.database_url),
        "CRATESORT_LIBRARY_ROOTS": f"library={folder}",
        "CRATESORT_DATA_FOLDER": str(settings.data_folder),
    }
    database = create_engine(settings.database)
    with ExitStack() as stack:
        stack.callback(database.dispose)
        stack.enter_context(worker(("--concurrency", "2"), folder, environment))
        if free:
            only = ("--queues", "interactive", "--concurrency", "1")
            stack.enter_context(worker(only, folder, environment))
        bulk = run_as_process(("ingest", "--no-wait", library), folder, environment)
        assert bulk.code == 0, bulk.stderr
        seen = [_seconds_until_its_row(settings, file) for file in files]
        with reading(database) as connection:
            row = batches.c
            own = connection.execute(
                select(row.created_at, row.finished_at).where(row.interactive)
            ).all()
            open_bulk = connection.execute(
                select(row.id).where(~row.interactive, row.state != "done").limit(1)
            ).first()
    committed = [(one.finished_at - one.created_at).total_seconds() for one in own]
    shown = [f"{1e3 * value:.0f} ms" for value in (*_quantiles(committed), *_quantiles(seen))]
    return f"| {free} | {' | '.join(shown)} | {open_bulk is not None} |"


def _seconds_until_its_row(settings: Settings, file: Path) -> float:
    engine = create_engine(settings.database)
    began = time.perf_counter()
    ingest = submit([file], settings=settings, interactive=True).ingest_id
    query = select(batches.c.id).where(batches.c.ingest_id == ingest, batches.c.state == "done")
    while True:
        with reading(engine) as connection:
            if connection.execute(query).first() is not None:
                break
        time.sleep(0.002)
    seconds = time.perf_counter() - began
    engine.dispose()
    time.sleep(_PAUSE_SECONDS)
    return seconds


def _quantiles(values: Sequence[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]


def _secret(value: SecretStr | None) -> str:
    return "" if value is None else value.get_secret_value()


if __name__ == "__main__":
    main()
