"""What the integration tests share: looking into a database, and a fleet's settings."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from pydantic import SecretStr
from sqlalchemy import Engine, RowMapping, func, select

from db.engine import reading
from db.queue import ledger
from db.queue.batch import BatchEntry, ClaimedBatch
from db.results.queries import SoundRow, results
from db.states import BatchState
from db.tables import batches, ingests
from tests.support import ledger_model
from tests.support.databases import connected
from tests.support.places import REPOSITORY
from tests.support.servers.lifecycle import wait_until
from workers.celery_ext.app import build_app
from workers.settings import Settings

_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
def database(database_url) -> Iterator[Engine]:
    """An engine on either database."""
    with connected(database_url) as engine:
        yield engine


@pytest.fixture
def add_batches(database) -> Callable[..., int]:
    """Write an ingest of batches of this many sounds each; return the ingest's id."""

    def add(*sound_counts: int) -> int:
        with database.begin() as connection:
            ingest_id = ledger.open_ingest(connection, "a test")
            for number, count in enumerate(sound_counts):
                entries = [
                    BatchEntry(f"{number}/{index}.wav", f"pack {number}", "a vendor")
                    for index in range(count)
                ]
                ledger.add_batch(connection, ingest_id, "library", entries)
        return ingest_id

    return add


@pytest.fixture
def claim(database) -> Callable[..., ClaimedBatch | None]:
    """Queue everything that is pending and claim one batch."""

    def claim(
        batch_id: int, *, token: str = "ours", worker: str = "a worker", lease_seconds: float = 60
    ) -> ClaimedBatch | None:
        with database.begin() as connection:
            ledger.take_pending(connection, window=100, limit=100)
        with database.begin() as connection:
            return ledger_model.claim(
                connection, batch_id, token=token, worker=worker, lease_seconds=lease_seconds
            )

    return claim


@pytest.fixture
def batch_rows(database) -> Callable[[], list[RowMapping]]:
    """All rows of the ledger's batches."""

    def read() -> list[RowMapping]:
        with reading(database) as connection:
            return list(connection.execute(select(batches).order_by(batches.c.id)).mappings())

    return read


@pytest.fixture
def take(database) -> Callable[..., Any]:
    """Call one function of the ledger in a transaction of its own."""

    def call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        with database.begin() as connection:
            return function(connection, *arguments, **options)

    return call


@pytest.fixture
def states(batch_rows) -> Callable[[], list[str]]:
    """The batches' states, by id order."""
    return lambda: [row["state"] for row in batch_rows()]


@pytest.fixture
def read_rows() -> Callable[[str], list[SoundRow]]:
    """All rows of the database at a URL, in path order and without their time."""

    def read(url: str) -> list[SoundRow]:
        with connected(url) as engine, reading(engine) as connection:
            rows = list(results(connection))
        return [replace(row, classified_at=_ANY_TIME) for row in rows]

    return read


@pytest.fixture
def wait_for_rows() -> Callable[..., None]:
    """Return when no batch of the database at a URL is open."""

    def wait(url: str, patience_seconds: float = 60) -> None:
        open_batches = select(func.count()).where(batches.c.state != BatchState.DONE)
        unsubmitted = select(func.count()).where(ingests.c.submitted_at.is_(None))
        with connected(url) as engine:

            def all_done() -> bool:
                with reading(engine) as connection:
                    return not any(
                        connection.execute(query).scalar_one()
                        for query in (open_batches, unsubmitted)
                    )

            wait_until(all_done, "every batch is done", patience_seconds)

    return wait


@pytest.fixture
def shim(tmp_path) -> dict[str, str]:
    """Make the reader misbehave as `tests/support/shims` says; the gate stands open."""
    (tmp_path / "modules").mkdir()
    return {
        "PYTHONPATH": f"{REPOSITORY / 'tests' / 'support' / 'shims'}:{REPOSITORY}",
        "TEST_GATE": str(tmp_path / "gate"),
        "TEST_MODULES": str(tmp_path / "modules"),
    }


@pytest.fixture
def gate(shim) -> Iterator[Path]:
    """Shut the gate; who unlinks it lets the readers of ``gate*`` go on."""
    path = Path(shim["TEST_GATE"])
    path.touch()
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture
def fleet(redis_url, postgres_url, library) -> dict[str, str]:
    """The settings of a producer and its workers."""
    return {
        "CRATESORT_BROKER_URL": redis_url,
        "CRATESORT_DATABASE_URL": postgres_url,
        "CRATESORT_LIBRARY_ROOTS": f"library={library}",
        "CRATESORT_BATCH_SIZE": "16",
    }


@pytest.fixture
def app(fleet) -> Iterator[Celery]:
    """Celery's app of a producer, for malformed messages."""
    with build_app(Settings(broker_url=SecretStr(fleet["CRATESORT_BROKER_URL"]))) as app:
        yield app
