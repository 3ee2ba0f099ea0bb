"""Time to recover from a kill -9 or a hang: ``python -m tests.benchmarks.recovery``.

For each setting and each fault: a fleet in the middle of a backlog, the fault, and then, by the
database clock, the seconds to the first redelivered batch and to the end of the backlog. No beat
runs. A hang: all open connections of both workers freeze, or lose their packets (in a namespace:
Linux and root), while new ones work. Tests of the same faults are in `tests/faults`.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, func, select

from db.dialects import now
from db.engine import create_engine, reading
from db.migrate import upgrade
from db.states import BatchState
from db.tables import batches, sounds
from tests.support import sounds as made
from tests.support.command_line import run_as_process
from tests.support.places import REPOSITORY
from tests.support.processes import worker
from tests.support.servers import (
    NetworkNamespace,
    PostgresServer,
    RedisServer,
    Server,
    ServerUnavailableError,
    TcpProxy,
    running,
)
from tests.support.servers.lifecycle import wait_until

#: The shortest that still lets a batch of this size end in time.
TEST_SETTINGS = {
    "CRATESORT_TIME_LIMIT_SECONDS": "2",
    "CRATESORT_LEASE_MARGIN_SECONDS": "1",
    "CRATESORT_STALE_SECONDS": "2",
    "CRATESORT_SWEEP_SECONDS": "1",
}


FAULTS = ("child", "worker", "redis", "frozen", "dropped")


class Trial:
    """One backlog, one fault."""

    def __init__(self, folder: Path, settings: Mapping[str, str], n_files: int) -> None:
        self.folder = folder
        self.settings = settings
        self.n_files = n_files
        library = folder / "sounds"
        library.mkdir()
        (library / "kick 0.wav").write_bytes(made.encoded())
        for index in range(1, n_files):
            os.link(library / "kick 0.wav", library / f"kick {index}.wav")
        self.library = library

    def holders(self, engine: Engine) -> dict[int, int]:
        """Return the running batches by the process that holds them."""
        held = select(batches.c.id, batches.c.worker).where(batches.c.state == BatchState.RUNNING)
        with reading(engine) as connection:
            rows = connection.execute(held).all()
        return {int(row.worker.split(":")[-2]): row.id for row in rows}

    def catch_a_child(self, engine: Engine, pids: list[int]) -> tuple[int, int]:
        """Return a batch and the process that holds it, which stands still."""
        while not is_done(engine):
            for pid, batch in self.holders(engine).items():
                if pid not in pids:
                    continue
                os.kill(pid, signal.SIGSTOP)
                if self.holders(engine).get(pid) == batch:
                    return batch, pid
                os.kill(pid, signal.SIGCONT)
        raise RuntimeError("the backlog ended before a child was caught: more --files")

    def behind_proxies(
        self, stack: ExitStack, servers: tuple[Server, ...], namespace: NetworkNamespace | None
    ) -> tuple[dict[str, str], Callable[[], None]]:
        """Return the settings of workers behind proxies, and what lets their connections hang."""
        host = namespace.address if namespace else "127.0.0.1"
        proxies = [stack.enter_context(TcpProxy(server.port, host)) for server in servers]
        changed = dict(self.settings)
        for name, proxy in zip(
            ("CRATESORT_BROKER_URL", "CRATESORT_DATABASE_URL"), proxies, strict=True
        ):
            changed[name] = proxy.redirected(changed[name])

        def hang() -> None:
            for proxy in proxies:
                if namespace:
                    namespace.drop(proxy.client_ports)
                else:
                    proxy.freeze()

        return changed, hang

    def run(
        self, fault: str, redis: RedisServer, postgres: PostgresServer, engine: Engine
    ) -> tuple[float, float, int]:
        """Return seconds to the first redelivery and to the end, and how many rows there are."""
        submit = ("ingest", str(self.library), "--no-wait")
        with ExitStack() as stack:
            namespace = stack.enter_context(NetworkNamespace()) if fault == "dropped" else None
            changed, hang = self.settings, None
            if fault in ("frozen", "dropped"):
                changed, hang = self.behind_proxies(stack, (redis, postgres), namespace)
            with namespace.entered() if namespace else nullcontext():
                fleet = [
                    stack.enter_context(worker(("--concurrency", "1"), self.folder, host))
                    for host in (
                        {**changed, "CRATESORT_DATA_FOLDER": str(self.folder / f"host {number}")}
                        for number in range(2)
                    )
                ]
            assert run_as_process(submit, self.folder, self.settings).code == 0
            wait_until(lambda: count(engine, sounds) > 0, "it is in mid-run", 60)
            batch = None
            if fault == "redis":
                redis.kill()
            elif hang is not None:
                hang()
            else:
                batch, child = self.catch_a_child(engine, fleet[0].processes())
                if fault == "child":
                    os.kill(child, signal.SIGKILL)
                else:
                    os.killpg(fleet[0].pid, signal.SIGKILL)
            struck = moment(engine)
            if fault == "redis":
                redis.start()
                struck = moment(engine)
            claimed = batches.c.started_at > struck
            if batch is not None:
                claimed = claimed & (batches.c.id == batch)
            first = None
            while first is None:
                with reading(engine) as connection:
                    first = connection.execute(
                        select(func.min(batches.c.started_at)).where(claimed)
                    ).scalar_one()
                time.sleep(0.02)
            wait_until(lambda: is_done(engine), "all is done", 300)
        with reading(engine) as connection:
            end = connection.execute(select(func.max(batches.c.finished_at))).scalar_one()
        return (
            (first - struck).total_seconds(),
            (end - struck).total_seconds(),
            count(engine, sounds),
        )


def moment(engine: Engine) -> datetime:
    """Return the time by the database's clock."""
    with reading(engine) as connection:
        return connection.execute(select(now())).scalar_one()


def count(engine: Engine, table: object) -> int:
    """Return how many rows a table has."""
    with reading(engine) as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def is_done(engine: Engine) -> bool:
    """Whether no batch is open."""
    query = select(func.count()).where(batches.c.state != BatchState.DONE)
    with reading(engine) as connection:
        return not connection.execute(query).scalar_one()


def main() -> None:
    """Print a table row for each setting and fault."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--files", type=int, default=20_000)
    arguments.add_argument("--faults", nargs="+", choices=FAULTS, default=FAULTS)
    parsed = arguments.parse_args()
    n_files, faults = parsed.files, parsed.faults
    print(f"{'settings':<12}{'fault':<12}{'redelivered s':>14}{'all done s':>12}{'rows':>16}")
    with running(RedisServer()) as redis, running(PostgresServer()) as postgres:
        for name, settings in (("test", TEST_SETTINGS), ("production", {})):
            for fault in faults:
                database = f"{name}_{fault}"
                postgres.create_database(database)
                url = postgres.database_url(database)
                upgrade(url)
                engine = create_engine(url)
                with tempfile.TemporaryDirectory() as folder:
                    fleet = {
                        # A millisecond more a header, as on network storage: else the workers
                        # would keep up with the producer, and there would be no backlog.
                        "PYTHONPATH": f"{REPOSITORY / 'tests' / 'support' / 'shims'}:{REPOSITORY}",
                        "TEST_READ_SECONDS": "0.001",
                        "CRATESORT_BROKER_URL": redis.url,
                        "CRATESORT_DATABASE_URL": url,
                        "CRATESORT_LIBRARY_ROOTS": f"main={folder}",
                        # Larger ones would not end within the test settings' time limit.
                        "CRATESORT_BATCH_SIZE": "256",
                        **settings,
                    }
                    trial = Trial(Path(folder), fleet, n_files)
                    try:
                        first, end, rows = trial.run(fault, redis, postgres, engine)
                    except ServerUnavailableError as missing:
                        print(f"{name:<12}{fault:<12}not measured: {missing}")
                        continue
                    finally:
                        engine.dispose()
                print(
                    f"{name:<12}{fault:<12}{first:>14.1f}{end:>12.1f}{f'{rows} of {n_files}':>16}"
                )
                sys.stdout.flush()


if __name__ == "__main__":
    main()
