"""A fleet to break: a library, a producer, workers, and what must be true however it was broken.

Not here: the faults (a file each), and the servers (`tests.support.servers`).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, RowMapping, func, select

from db.engine import create_engine, reading
from db.tables import BatchState, batches, ingests
from db.tables import sounds as sounds_table
from tests.support import sounds
from tests.support.command_line import CliResult
from tests.support.places import REPOSITORY
from tests.support.processes import WorkerProcess
from tests.support.servers.lifecycle import wait_until

#: Everything is noticed within seconds, by leases and sweeps.
QUICK = {
    "CRATESORT_TIME_LIMIT_SECONDS": "2",
    "CRATESORT_LEASE_MARGIN_SECONDS": "1",
    "CRATESORT_STALE_SECONDS": "1",
    "CRATESORT_SWEEP_SECONDS": "1",
}

#: No lease ends and no sweep runs while a test does: what comes back was returned by the watch.
WATCH_ALONE = {
    "CRATESORT_TIME_LIMIT_SECONDS": "600",
    "CRATESORT_LEASE_MARGIN_SECONDS": "600",
    "CRATESORT_STALE_SECONDS": "600",
    "CRATESORT_SWEEP_SECONDS": "600",
}


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
        self._gate = folder / "gate"
        self._run_cli = run_cli
        self._worker_process = worker_process
        self.settings = {
            "PYTHONPATH": f"{REPOSITORY / 'tests' / 'support' / 'shims'}:{REPOSITORY}",
            "TEST_GATE": str(self._gate),
            "CRATESORT_BROKER_URL": broker_url,
            "CRATESORT_DATABASE_URL": database_url,
            "CRATESORT_LIBRARY_ROOTS": f"library={self.library}",
            "CRATESORT_BATCH_SIZE": "4",
            **QUICK,
        }

    # -- what there is to do -----------------------------------------------------------------

    def add(self, *names: str, count: int = 0) -> None:
        """Put sounds of these names into the library, and `count` ordinary ones."""
        for name in [*names, *(f"bass {index:03}.wav" for index in range(count))]:
            (self.library / name).write_bytes(sounds.encoded())

    def shut_gate(self) -> None:
        """Make the reader of ``gate*`` stand still until `open_gate`."""
        self._gate.touch()

    def open_gate(self) -> None:
        self._gate.unlink(missing_ok=True)

    def cli(self, *arguments: str | Path, **changed: str) -> CliResult:
        """Run a command with the fleet's settings."""
        return self._run_cli(*arguments, settings={**self.settings, **changed})

    def submit(self) -> None:
        """Hand the library in, and do not wait for it."""
        done = self.cli("ingest", self.library, "--no-wait")
        assert done.code == 0, done.stderr

    @contextmanager
    def worker(
        self, *arguments: str, settings: Mapping[str, str] | None = None
    ) -> Iterator[WorkerProcess]:
        """Run a worker while the block lasts."""
        with self._worker_process(*arguments, settings={**self.settings, **(settings or {})}) as w:
            yield w

    # -- what has come of it -----------------------------------------------------------------

    @contextmanager
    def database(self) -> Iterator[Engine]:
        engine = create_engine(self.database_url)
        try:
            yield engine
        finally:
            engine.dispose()

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

    def holder(self) -> int | None:
        """The process that holds the one running batch, None when that is not so."""
        held = [row["worker"] for row in self.batches() if row["state"] == BatchState.RUNNING]
        return int(held[0].split(":")[-2]) if len(held) == 1 else None

    def wait_for_the_gate(self) -> int:
        """Return the process that stands at the gate, when all other batches are done."""

        def stands() -> bool:
            states = sorted(row["state"] for row in self.batches())
            # Two children may have one each; the other is done soon.
            return states[-1:] == ["running"] and set(states[:-1]) <= {"done"}

        wait_until(stands, "one batch is running and the others are done", 60)
        pid = self.holder()
        assert pid is not None
        return pid

    def wait_until_done(self, patience_seconds: float = 90) -> None:
        """Return when everything that was handed in has ended."""

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
