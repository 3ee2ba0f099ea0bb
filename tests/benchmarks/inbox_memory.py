"""Memory for large inbox entries: ``python -m tests.benchmarks.inbox_memory``.

The peak memory of an intake that empties an inbox of 1,000 entries of up to 65,000 bytes, on
SQLite, and the memory of Redis that the dead list takes afterwards. Each kind of entry runs in a
new process. Prints a Markdown table.
"""

import argparse
import json
import logging
import multiprocessing
import resource
import tempfile
from pathlib import Path

import redis
from pydantic import SecretStr

from db.engine import create_engine
from db.migrate import upgrade
from tasks.inbox.consumer import Intake
from tasks.inbox.redis_lists import DEAD_KEY, INBOX_KEY
from tests.support.servers import RedisServer, running
from workers.celery_ext.app import build_app
from workers.settings import Settings

_MEBIBYTE = 1024**2

#: By their description in the table.
ENTRIES = {
    "one byte each": b"x",
    "a vendor of 64,900 characters": json.dumps(
        {"root": "main", "path": "NUMBER.wav", "vendor": 64_900 * "v"}
    ).encode(),
    "neither path nor UTF-8": 65_000 * b"\xe9",
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1000)
    count = parser.parse_args().entries
    print(f"| {count:,} entries | intake | dead list |\n|---|---|---|")
    for name, entry in ENTRIES.items():
        with running(RedisServer()) as server, redis.Redis.from_url(server.url) as client:
            for number in range(count):
                client.lpush(INBOX_KEY, entry.replace(b"NUMBER", b"%06d" % number))
            with multiprocessing.get_context("spawn").Pool(1) as one_process:
                peak = one_process.apply(_empty_inbox, (server.url,))
            dead = client.memory_usage(DEAD_KEY, samples=0) or 0
            print(
                f"| {name} | {peak / _MEBIBYTE:.0f} MiB | {dead / _MEBIBYTE:.1f} MiB |", flush=True
            )


def _empty_inbox(broker_url: str) -> int:
    """Serve the inbox until it is empty; return this process's peak memory in bytes."""
    logging.disable(logging.WARNING)  # a line for each round with invalid entries
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            broker_url=SecretStr(broker_url),
            database_url=SecretStr(f"sqlite:///{folder}/cratesort.db"),
            library_roots={"main": Path(folder)},
        )
        upgrade(settings.database)
        database = create_engine(settings.database)
        with build_app(settings) as app:
            intake = Intake(settings, app, database)
            while intake.round():
                pass
        database.dispose()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
