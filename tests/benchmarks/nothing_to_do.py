"""Re-ingest of unchanged files beside ``find``: ``python -m tests.benchmarks.nothing_to_do``.

Ingests the same tree twice; in turn with that, ``find`` prints path, size and time of each of its
files. In one process with SQLite, and through Redis and PostgreSQL. Prints the median of each in
seconds.
"""

import argparse
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from db.migrate import upgrade
from tests.benchmarks.machine import machine
from tests.benchmarks.throughput.library import make_library
from tests.support.command_line import run_as_process
from tests.support.processes import worker
from tests.support.servers import PostgresServer, RedisServer, running


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with (
        TemporaryDirectory() as name,
        running(RedisServer()) as redis,
        running(PostgresServer()) as postgres,
    ):
        folder = Path(name)
        library = make_library(folder, options.files)
        here = {"CRATESORT_DATA_FOLDER": str(folder / "data")}
        postgres.create_database("again")
        queue = {
            "CRATESORT_BROKER_URL": redis.url,
            "CRATESORT_DATABASE_URL": postgres.database_url("again"),
            "CRATESORT_LIBRARY_ROOTS": f"library={library}",
            "CRATESORT_DATA_FOLDER": str(folder / "queue"),
        }
        upgrade(queue["CRATESORT_DATABASE_URL"])
        _ingest(library, folder, here)
        with worker((), folder, queue):
            _ingest(library, folder, queue)
        print(f"{machine()}; {options.files:,} files, median of {options.rounds}", end="\n\n")
        print("| | find | again | 3 x find + 1 s |\n|---|---|---|---|")
        for system, settings in (("SQLite, one process", here), ("Redis, PostgreSQL", queue)):
            found, again = [], []
            for _ in range(options.rounds):
                found.append(_find(library))
                again.append(_ingest(library, folder, settings))
            find = median(found)
            row = f"{find:.2f} s | {median(again):.2f} s | {3 * find + 1:.2f} s"
            print(f"| {system} | {row} |", flush=True)


def _find(library: Path) -> float:
    began = time.perf_counter()
    command = ["find", str(library), "-type", "f", "-printf", "%p %s %T@\\n"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _ingest(library: Path, folder: Path, settings: Mapping[str, str]) -> float:
    began = time.perf_counter()
    done = run_as_process(("ingest", "--wait", library), folder, settings, timeout_seconds=3600)
    assert done.code == 0, done.stderr
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
