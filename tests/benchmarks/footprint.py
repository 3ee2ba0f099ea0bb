"""Memory and start time of a worker: ``make footprint``.

For each engine: seconds from the worker's command to the end of its first batch, and the resident
memory of its children after about thirty batches each. Starts its own Redis and PostgreSQL, and
uses hard links to the example library under other names. Prints a Markdown table.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Engine, func, select

from db.engine import create_engine, reading
from db.migrate import upgrade
from db.states import BatchState
from db.tables import batches
from tests.support.command_line import clean_environment
from tests.support.places import REPOSITORY
from tests.support.processes import WorkerProcess
from tests.support.servers import PostgresServer, RedisServer, running
from workers.settings import Settings

_CHILDREN = 2
#: Children share the work unevenly: thirty on average make it twenty for each.
_BATCHES_EACH = 30


def _many_sounds(folder: Path, count: int) -> None:
    """Fill `folder` with `count` hard links to real small sounds."""
    originals = folder / "originals"
    make = [sys.executable, str(REPOSITORY / "examples" / "make_library.py"), str(originals)]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
    found = sorted(path for path in originals.rglob("*.*") if path.suffix != ".csv")
    for number in range(count):
        source = found[number % len(found)]
        pack = folder / "library" / f"pack {number // 1000}"
        pack.mkdir(parents=True, exist_ok=True)
        os.link(source, pack / f"{number}_{source.name}")


def _done(database: Engine) -> int:
    with reading(database) as connection:
        query = select(func.count()).where(batches.c.state == BatchState.DONE)
        return int(connection.execute(query).scalar_one())


def _resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _measure(
    engine: str, library: Path, batch_size: int, redis: RedisServer, postgres: PostgresServer
) -> str:
    postgres.create_database(f"footprint_{engine}")
    database_url = postgres.database_url(f"footprint_{engine}")
    upgrade(database_url)
    with TemporaryDirectory() as name:
        folder = Path(name)
        settings = {
            "CRATESORT_BROKER_URL": redis.url,
            "CRATESORT_DATABASE_URL": database_url,
            "CRATESORT_LIBRARY_ROOTS": f"library={library}",
            "CRATESORT_BATCH_SIZE": str(batch_size),
            "CRATESORT_ENGINE": engine,
        }
        subprocess.run(
            [sys.executable, "-m", "cli", "ingest", "--no-wait", str(library)],
            env=clean_environment(folder, settings),
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        database = create_engine(database_url)
        started = time.monotonic()
        worker = WorkerProcess(("--concurrency", str(_CHILDREN)), folder, settings)
        try:
            while _done(database) == 0:
                time.sleep(0.01)
            first = time.monotonic() - started
            wanted = _CHILDREN * _BATCHES_EACH
            while _done(database) < wanted:
                time.sleep(0.1)
            others = [pid for pid in worker.processes() if pid != worker.pid]
            watches = [pid for pid in others if _is_watch(pid)]
            child = max(_resident_mib(pid) for pid in others if pid not in watches)
            parent = _resident_mib(worker.pid)
            watch = sum(map(_resident_mib, watches))
        finally:
            worker.end()
            database.dispose()
    return f"| {engine} | {first:.1f} s | {child:.0f} MiB | {parent:.0f} MiB | {watch:.0f} MiB |"


def _is_watch(pid: int) -> bool:
    return b"workers.recovery.supervisor" in Path(f"/proc/{pid}/cmdline").read_bytes()


def main() -> None:
    """Measure both engines, the default one first."""
    parser = argparse.ArgumentParser(prog="make footprint", description=__doc__)
    parser.add_argument("engines", nargs="*", default=["onnx", "keras"])
    parser.add_argument("--batch-size", type=int, default=Settings().batch_size)
    options = parser.parse_args()
    with (
        TemporaryDirectory() as name,
        running(RedisServer()) as redis,
        running(PostgresServer()) as postgres,
    ):
        _many_sounds(Path(name), (_CHILDREN * _BATCHES_EACH + 4) * options.batch_size)
        print("| engine | command to first batch | child after 30 batches | parent | supervisor |")
        print("|---|---|---|---|---|")
        for engine in options.engines:
            library = Path(name) / "library"
            print(_measure(engine, library, options.batch_size, redis, postgres), flush=True)


if __name__ == "__main__":
    main()
