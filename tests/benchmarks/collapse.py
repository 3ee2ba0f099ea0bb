"""Slowdowns of the queue: ``python -m tests.benchmarks.collapse``.

Compares two pairs of runs, interleaved: an ingest into an empty ledger and one after sixty batches
of one file each; and files of a large folder, with and without writes to that folder at the same
time. Prints files per second, and the median of the pairs' ratios of wall time and of the worker's
processor time (which depends less on other load of the machine).
"""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Final

from pydantic import SecretStr
from sqlalchemy import func, select

from db.engine import create_engine, reading
from db.migrate import upgrade
from db.tables import batches
from tasks.producer.submission import submit
from tests.benchmarks.machine import machine
from tests.benchmarks.throughput.library import make_library
from tests.benchmarks.throughput.processor import cpu_seconds
from tests.benchmarks.throughput.work import paths_below
from tests.support.processes import worker
from tests.support.servers import PostgresServer, RedisServer, running
from workers.settings import Settings

_SINGLE_FILES: Final = 60
#: Each of these lists the large folder.
_OF_LARGE_FOLDER: Final = 10
_WRITE_SECONDS: Final = 0.05


class Queue:
    """A worker of two children on a ledger of its own."""

    def __init__(self, folder: Path, redis: RedisServer, postgres: PostgresServer) -> None:
        name = f"c{time.monotonic_ns()}"
        postgres.create_database(name)
        url = postgres.database_url(name)
        upgrade(url)
        self._folder = folder
        self._settings = Settings(
            broker_url=SecretStr(redis.url),
            database_url=SecretStr(url),
            library_roots={"library": folder},
            data_folder=folder / name,
        )
        self._environment = {
            "CRATESORT_BROKER_URL": redis.url,
            "CRATESORT_DATABASE_URL": url,
            "CRATESORT_LIBRARY_ROOTS": f"library={folder}",
            "CRATESORT_DATA_FOLDER": str(folder / name),
        }

    @contextmanager
    def working(self) -> Iterator["Queue"]:
        """Run the worker."""
        with worker(("--concurrency", "2"), self._folder, self._environment) as service:
            self._worker = service.pid
            yield self

    def ingest(self, files: Sequence[Path]) -> tuple[float, float]:
        """Ingest these files; return the seconds from the first claim on, and the worker's CPU."""
        used = cpu_seconds(self._worker)
        database = create_engine(self._settings.database)
        ingest = submit(files, settings=self._settings).ingest_id
        query = select(
            func.count(), func.min(batches.c.started_at), func.max(batches.c.finished_at)
        ).where(batches.c.ingest_id == ingest)
        is_open = select(func.count()).where(
            batches.c.ingest_id == ingest, batches.c.state != "done"
        )
        while True:
            with reading(database) as connection:
                if not connection.execute(is_open).scalar_one():
                    count, began, ended = connection.execute(query).one()
                    break
            time.sleep(0.05)
        database.dispose()
        seconds = (ended - began).total_seconds()
        if len(files) > 1:
            print(f"{len(files):,} files: {count} batches, {seconds:.1f} s", flush=True)
        return seconds, cpu_seconds(self._worker) - used


@contextmanager
def written_to(folder: Path) -> Iterator[None]:
    """Add and remove a file again and again, as long as the block lasts."""
    stop = Event()

    def write() -> None:
        while not stop.wait(_WRITE_SECONDS):
            (folder / "new kick.wav").touch()
            (folder / "new kick.wav").unlink()

    thread = Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def large_folder(folder: Path, originals: Sequence[Path], names: int) -> list[Path]:
    """Make one folder of links to sounds; return its files."""
    folder.mkdir()
    made = []
    for number in range(names):
        original = originals[number % len(originals)]
        made.append(folder / f"{original.stem} {number}{original.suffix}")
        os.link(original, made[-1])
    return made


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--names", type=int, default=300_000, help="in the large folder")
    parser.add_argument("--of-large", type=int, default=60_000, help="files of it to ingest")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows: dict[str, list[list[tuple[float, float]]]] = {}
    with (
        TemporaryDirectory() as name,
        running(RedisServer()) as redis,
        running(PostgresServer()) as postgres,
    ):
        folder = Path(name)
        library = make_library(folder, options.files)
        files = [library / path for path in paths_below(library)]
        large = large_folder(folder / "large", files[:1000], options.names)
        single, many = large[:_OF_LARGE_FOLDER], large[_OF_LARGE_FOLDER:][: options.of_large]

        def measure(case: str, *runs: tuple[Sequence[Path], Sequence[Path], bool]) -> None:
            pair = []
            for before, measured, writing in runs:
                with ExitStack() as stack:
                    queue = stack.enter_context(Queue(folder, redis, postgres).working())
                    busy = written_to(folder / "large") if writing else nullcontext()
                    stack.enter_context(busy)
                    for file in before:
                        queue.ingest([file])
                    seconds, used = queue.ingest(measured)
                    pair.append((seconds / len(measured), used / len(measured)))
            rows.setdefault(case, []).append(pair)

        for _ in range(options.rounds):
            measure(
                "after single files",
                ([], files, False),
                (files[-_SINGLE_FILES:], files[:-_SINGLE_FILES], False),
            )
            measure(
                "a large folder is written to", *((single, many, busy) for busy in (False, True))
            )
    print(f"\n{machine()}; median of {options.rounds} pairs", end="\n\n")
    print("| | quiet: files/s | files/s | times as long | times the CPU |")
    print("|---|---|---|---|---|")
    for case, pairs in rows.items():
        rates = [f"{1 / median(run[0] for run in runs):,.0f}" for runs in zip(*pairs, strict=True)]
        ratios = [f"{median(b[n] / a[n] for a, b in pairs):.2f}" for n in (0, 1)]
        print(f"| {case} | {' | '.join(rates + ratios)} |")


if __name__ == "__main__":
    main()
