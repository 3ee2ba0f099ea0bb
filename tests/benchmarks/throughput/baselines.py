"""The systems cratesort is compared with, each run to its end."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import celery
import sqlalchemy

from tests.benchmarks.throughput.ours import Run
from tests.benchmarks.throughput.processor import cpu_seconds
from tests.support.command_line import clean_environment
from tests.support.servers import PostgresServer, RedisServer

_HERE: Final = "tests.benchmarks.throughput"
_CHILDREN: Final = 2


def bare(library: Path, folder: Path) -> Run:
    """See `bare`."""
    return _run("bare", library, folder)


def bare_pair(library: Path, folder: Path) -> Run:
    """Run two of them at once, half of the library each: what two busy cores make of the work."""
    with ThreadPoolExecutor(2) as both:
        halves = list(both.map(lambda part: _run("bare", library, folder, str(part), "2"), (0, 1)))
    return Run(
        sum(half.files for half in halves),
        max(half.seconds for half in halves),
        sum(half.cpu_seconds for half in halves),
        {},
    )


def has_ray() -> bool:
    """Whether Ray Data is installed."""
    return importlib.util.find_spec("ray") is not None


def ray_data(library: Path, folder: Path) -> Run:
    """See `ray_data`."""
    return _run("ray_data", library, folder)


def _run(module: str, library: Path, folder: Path, *arguments: str) -> Run:
    done = subprocess.run(
        [sys.executable, "-m", f"{_HERE}.{module}", str(library), *arguments],
        env=clean_environment(folder, {}),
        cwd=folder,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{module} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return Run(found["files"], found["seconds"], found["cpu_seconds"], {})


def naive(
    paths: list[str], library: Path, folder: Path, redis: RedisServer, postgres: PostgresServer
) -> Run:
    """Run a task a file, two children; from the first message to the last row, models loaded."""
    postgres.create_database("naive")
    where = {
        "THROUGHPUT_BROKER": redis.url,
        "THROUGHPUT_DATABASE": postgres.database_url("naive"),
        "THROUGHPUT_LIBRARY": str(library),
    }
    engine = sqlalchemy.create_engine(where["THROUGHPUT_DATABASE"])
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE naive (path text PRIMARY KEY, category integer)")
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", f"{_HERE}.naive", "worker", "--pool", "prefork",
         "--concurrency", str(_CHILDREN), "--loglevel", "ERROR"],
        env=clean_environment(folder, {**where, "TF_CPP_MIN_LOG_LEVEL": "3"}),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        sender = celery.Celery("naive", broker=redis.url)
        warm = paths[: 4 * _CHILDREN]
        _send(sender, warm)
        _wait_for(engine, len(warm))
        pids = (process.pid, redis.pid, postgres.pid)
        used, own, began = cpu_seconds(*pids), time.process_time(), time.perf_counter()
        _send(sender, paths[len(warm) :])
        _wait_for(engine, len(paths))
        seconds = time.perf_counter() - began
        cpu = cpu_seconds(*pids) - used + time.process_time() - own
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(60)
        engine.dispose()
    return Run(len(paths) - len(warm), seconds, cpu, {})


def _send(sender: celery.Celery, paths: list[str]) -> None:
    for path in paths:
        sender.send_task("naive.classify", args=(path,))


def _wait_for(engine: sqlalchemy.Engine, count: int) -> None:
    query = sqlalchemy.text("SELECT count(*) FROM naive")
    while True:
        with engine.begin() as connection:
            if connection.execute(query).scalar_one() >= count:
                return
        time.sleep(0.05)
