"""A fleet to break: a library, a producer, workers, and what must be true however it was broken.

Not here: the faults (a file each), and the servers (`tests.support.servers`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, RowMapping, func, select, update

from db.dialects import now
from db.engine import create_engine, reading
from db.states import BatchState
from db.tables import batches, ingests
from db.tables import sounds as sounds_table
from tests.support import sounds
from tests.support.command_line import CliResult
from tests.support.places import REPOSITORY
from tests.support.processes import WorkerProcess
from tests.support.servers.lifecycle import wait_until

#: For a fault that the database takes part in: what it locks, rolls back and calls the time.
#: SQLite and PostgreSQL differ in that, and the code that hides the difference is `db.dialects`.
on_both_databases = pytest.mark.parametrize(
    "fleet_database_url", ["postgres", "sqlite"], indirect=True
)

#: Where Python finds the header reader that misbehaves (`tests/support/shims`).
SHIMMED = f"{REPOSITORY / 'tests' / 'support' / 'shims'}:{REPOSITORY}"

#: A lost message is noticed within seconds. No batch runs out of time, however busy the machine:
#: a test about time limits or leases sets its own.
QUICK = {
    "CRATESORT_TIME_LIMIT_SECONDS": "60",
    "CRATESORT_LEASE_MARGIN_SECONDS": "60",
    "CRATESORT_STALE_SECONDS": "1",
    "CRATESORT_SWEEP_SECONDS": "1",
}

#: No lease ends and no sweep runs during a test: the supervisor returned what comes back.
SUPERVISOR_ALONE = {
    "CRATESORT_TIME_LIMIT_SECONDS": "600",
    "CRATESORT_LEASE_MARGIN_SECONDS": "600",
    "CRATESORT_STALE_SECONDS": "600",
    "CRATESORT_SWEEP_SECONDS": "600",
}


def working_pids(rows: Iterable[RowMapping]) -> list[int]:
    """Return the ids of the processes that have a batch in progress."""
    running = (row["worker"] for row in rows if row["state"] == BatchState.RUNNING)
    return [int(worker.split(":")[-2]) for worker in running]


def takes_no_messages(worker: WorkerProcess) -> bool:
    """Whether a worker takes no messages at this moment, according to its log."""
    log = worker.log()
    return log.count("no messages are taken") > log.count("messages are taken again")


class Fleet:
    """A library with its settings, and the commands that work on it."""

    def __init__(
        self,
        folder: Path,
        broker_url: str,
        database_url: str,
        run_cli: Callable[..., CliResult],
        worker_process: Callable[..., Any],
    ) -> None:
        self.library = folder / "sounds"
        self.library.mkdir()
        self.broker_url = broker_url
        self.database_url = database_url
        self._engine = create_engine(database_url)
        self._gate = folder / "gate"
        self._run_cli = run_cli
        self._worker_process = worker_process
        self.settings = {
            "PYTHONPATH": SHIMMED,
            "TEST_GATE": str(self._gate),
            "CRATESORT_BROKER_URL": broker_url,
            "CRATESORT_DATABASE_URL": database_url,
            "CRATESORT_LIBRARY_ROOTS": f"library={self.library}",
            "CRATESORT_BATCH_SIZE": "4",
            **QUICK,
        }

    # -- input --------------------------------------------------------------------------------

    def add(self, *names: str, count: int = 0) -> None:
        """Put sounds of these names into the library, and `count` ordinary ones."""
        for name in [*names, *(f"bass {index:03}.wav" for index in range(count))]:
            (self.library / name).write_bytes(sounds.encoded())

    def shut_gate(self) -> None:
        """Block the reading of ``gate*`` until `open_gate`."""
        self._gate.touch()

    def open_gate(self) -> None:
        self._gate.unlink(missing_ok=True)

    def cli(self, *arguments: str | Path, **changed: str) -> CliResult:
        """Run a command with the fleet's settings."""
        return self._run_cli(*arguments, settings={**self.settings, **changed})

    def submit(self) -> None:
        """Ingest the library without waiting for it."""
        done = self.cli("ingest", self.library, "--no-wait")
        assert done.code == 0, done.stderr

    @contextmanager
    def worker(
        self, *arguments: str, settings: Mapping[str, str] | None = None
    ) -> Iterator[WorkerProcess]:
        """Run a worker while the block lasts; unless `arguments` say otherwise, with one child."""
        one_child = ("--concurrency", "1")
        changed = {**self.settings, **(settings or {})}
        with self._worker_process(*one_child, *arguments, settings=changed) as worker:
            yield worker

    def end_leases(self) -> None:
        """Expire the leases of all running batches."""
        held = batches.c.state == BatchState.RUNNING
        with self.database() as engine, engine.begin() as connection:
            connection.execute(update(batches).where(held).values(lease_expires_at=now(-1)))

    # -- what has come of it -----------------------------------------------------------------

    @contextmanager
    def database(self) -> Iterator[Engine]:
        """Give the fleet's engine; its connections stay open, for waiting means to ask often."""
        yield self._engine

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()

    def batches(self) -> list[RowMapping]:
        """All batches of the ledger, by id."""
        with self.database() as engine, reading(engine) as connection:
            return list(connection.execute(select(batches).order_by(batches.c.id)).mappings())

    def attempts(self) -> int:
        """How many attempts are counted against any sound at this moment."""
        return sum(row["attempts"] for row in self.batches())

    def outcomes(self) -> dict[str, str]:
        """Each path's category or error code."""
        outcome = func.coalesce(sounds_table.c.category, sounds_table.c.error_code)
        query = select(sounds_table.c.path, outcome.label("outcome"))
        with self.database() as engine, reading(engine) as connection:
            return {row.path: row.outcome for row in connection.execute(query)}

    def failed(self) -> dict[str, str]:
        """The error code of each path that has no category."""
        query = select(sounds_table.c.path, sounds_table.c.error_code).where(
            sounds_table.c.category.is_(None)
        )
        with self.database() as engine, reading(engine) as connection:
            return {row.path: row.error_code for row in connection.execute(query)}

    def working_pid(self) -> int | None:
        """The id of the process of the one running batch; None unless exactly one is running."""
        pids = working_pids(self.batches())
        return pids[0] if len(pids) == 1 else None

    def wait_for_the_gate(self) -> int:
        """Return the process that is blocked at the gate, when all other batches are done."""
        standing: list[int] = []

        def stands() -> bool:
            rows = self.batches()
            if {row["state"] for row in rows} <= {BatchState.RUNNING, BatchState.DONE}:
                standing[:] = filter(self._is_at_gate, working_pids(rows))
            return len(standing) == len(working_pids(rows)) == 1

        wait_until(stands, "one process is blocked at the gate and the other batches are done", 60)
        return standing[0]

    def at_the_gate(self) -> list[int]:
        """Return the processes that are blocked at the gate."""
        return [pid for pid in working_pids(self.batches()) if self._is_at_gate(pid)]

    def _is_at_gate(self, pid: int) -> bool:
        """Whether a process has begun to read a file that waits at the gate.

        Its batch is *running* a moment sooner, from when it was claimed.
        """
        return self._gate.with_name(f"{self._gate.name}-{pid}").exists()

    def wait_until_done(self, patience_seconds: float = 90) -> None:
        """Wait until all batches are done."""

        def done() -> bool:
            rows = self.batches()
            return bool(rows) and all(row["state"] == BatchState.DONE for row in rows)

        wait_until(done, "every batch is done", patience_seconds)

    def assert_nothing_is_lost(self, failed: Mapping[str, str] | None = None) -> None:
        """Check the invariant: one row for each file, classified unless it is named in `failed`."""
        with self.database() as engine, reading(engine) as connection:
            submitted = connection.execute(select(func.sum(ingests.c.enqueued))).scalar_one()
            rows = connection.execute(select(func.count()).select_from(sounds_table)).scalar_one()
        ended = self.batches()
        assert {row["state"] for row in ended} == {BatchState.DONE}
        assert submitted == sum(row["classified"] + row["failed"] for row in ended)
        outcomes = self.outcomes()
        assert len(outcomes) == rows, "a path has two rows"
        assert sorted(outcomes) == sorted(path.name for path in self.library.iterdir())
        assert self.failed() == dict(failed or {})
