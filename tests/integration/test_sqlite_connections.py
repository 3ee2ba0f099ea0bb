"""What each connection to SQLite is set to: foreign keys, WAL, and locks taken at the start."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from db.engine import reading
from db.migrate import require_current
from db.queue import ledger
from db.queue.batch import BatchEntry
from db.tables import ingests
from tests.support.databases import connected


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


def test_a_batch_of_an_ingest_that_never_was_is_refused(database):
    with pytest.raises(IntegrityError, match="FOREIGN KEY"), database.begin() as connection:
        ledger.add_batch(connection, 99, "library", [BatchEntry("a.wav", "pack", "vendor")])


def test_a_writer_does_not_wait_for_a_reader(database):
    # Given a reader in the middle of its transaction
    with reading(database) as reader:
        assert ingests_seen(reader) == 0

        # When somebody writes, without any patience
        with database.begin() as writer:
            writer.exec_driver_sql("PRAGMA busy_timeout = 0")
            ledger.open_ingest(writer, "a test")

        # Then that is committed, and the reader goes on seeing its own moment
        assert ingests_seen(reader) == 0
    with reading(database) as connection:
        assert ingests_seen(connection) == 1


def test_who_reads_and_then_writes_is_not_overtaken_in_between(database, file):
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
