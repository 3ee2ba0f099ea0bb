"""What each connection to SQLite is set to: foreign keys, WAL, and locks taken at the start."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from db.engine import reading, reset_connections
from db.migrate import require_current
from db.queue import ledger
from db.queue.batch import BatchEntry
from db.tables import batches, ingests
from tests.support.databases import connected
from workers import classification
from workers.context import WorkContext
from workers.settings import Settings


@pytest.fixture
def file(tmp_path):
    """A new file; a copied one would keep the journal mode of its original."""
    return tmp_path / "new.db"


@pytest.fixture
def database(file):
    with connected(f"sqlite:///{file}") as engine:
        require_current(engine)
        yield engine


def ingests_seen(connection):
    return connection.execute(select(func.count()).select_from(ingests)).scalar_one()


@pytest.fixture
def impatient(monkeypatch):
    """A process that waits for itself is seen to do so at once."""
    monkeypatch.setattr("db.engine.SQLITE_BUSY_SECONDS", 0.1)


@pytest.fixture
def interrupted(impatient, database):
    """What an interrupt may leave: a connection that holds the lock, and a lock of the pool."""
    connection = database.connect()
    connection.begin()
    ledger.open_ingest(connection, "an interrupted one")
    database.pool._overflow_lock.acquire()
    return connection


def test_an_interrupted_connection_is_released_before_a_write(database, interrupted):
    """Without that, a process waits a minute for the lock that it holds itself."""
    reset_connections(database)
    with database.begin() as connection:
        ledger.open_ingest(connection, "a later one")
    with reading(database) as connection:
        assert connection.scalars(select(ingests.c.source)).all() == ["a later one"]


def test_a_connection_interrupted_while_reading_is_released(impatient, database):
    """SQLAlchemy closes its connection; SQLite keeps its lock for a cursor with rows left."""
    connection = database.connect()
    connection.begin()
    cursor = connection.connection.cursor()
    cursor.execute("SELECT 1 UNION SELECT 2")
    cursor.fetchone()
    connection.invalidate()  # as SQLAlchemy does at a KeyboardInterrupt
    with database.begin() as another:
        ledger.open_ingest(another, "a later one")
    assert cursor is not None  # held until here


def test_a_batch_interrupted_in_its_transaction_is_requeued_at_once(
    impatient, database, tmp_path, monkeypatch
):
    with database.begin() as connection:
        ingest_id = ledger.open_ingest(connection, "a test")
        ledger.add_batch(connection, ingest_id, "", [BatchEntry("/a.wav", "pack", "vendor")])
        ledger.take_pending(connection, window=1, limit=1)
    kept = []

    def interrupt(*_, **__):
        kept.append(database.connect())
        kept[0].begin()
        raise KeyboardInterrupt

    monkeypatch.setattr(classification, "claimed_entries", interrupt)
    context = WorkContext.create(Settings(data_folder=tmp_path), database)
    with pytest.raises(KeyboardInterrupt):
        classification.classify_batch(1, context)
    with reading(database) as connection:
        assert connection.scalars(select(batches.c.state)).all() == ["pending"]


def test_a_batch_of_an_unknown_ingest_is_refused(database):
    with pytest.raises(IntegrityError, match="FOREIGN KEY"), database.begin() as connection:
        ledger.add_batch(connection, 99, "library", [BatchEntry("a.wav", "pack", "vendor")])


def test_a_writer_does_not_wait_for_a_reader(database):
    # Given a reader in the middle of its transaction
    with reading(database) as reader:
        assert ingests_seen(reader) == 0

        # When another process writes, without waiting
        with database.begin() as writer:
            writer.exec_driver_sql("PRAGMA busy_timeout = 0")
            ledger.open_ingest(writer, "a test")

        # Then that is committed, and the reader goes on seeing its own moment
        assert ingests_seen(reader) == 0
    with reading(database) as connection:
        assert ingests_seen(connection) == 1


def test_a_read_followed_by_a_write_is_isolated(database, file):
    # Given a transaction that may write and has only read yet
    with database.begin() as ours:
        assert ingests_seen(ours) == 0

        # When another process wants to write
        with (
            closing(sqlite3.connect(file, timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("DELETE FROM ingests")

        # Then it has to wait, and ours is written
        ledger.open_ingest(ours, "a test")
    with reading(database) as connection:
        assert ingests_seen(connection) == 1
