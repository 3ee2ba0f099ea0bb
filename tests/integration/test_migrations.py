"""Migrations: the same tables on both databases, made once, by one of many."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, inspect, select, text
from sqlalchemy.exc import OperationalError

import db.migrations.versions
from db import migrate
from db.migrate import HEAD, SchemaError, current, require_current, upgrade
from db.queue import ledger, recovery
from db.reporting import batch_metrics, counts
from db.results import labels, training_rows
from db.results.labels import LabelChanges, NewLabel
from db.results.queries import results
from db.results.sounds import sound_key
from db.states import LabelSource
from db.tables import metadata
from tests.support.databases import connected
from tests.support.servers.lifecycle import wait_until


@pytest.fixture
def empty_postgres_url(postgres_server):
    """The URL of a PostgreSQL database without any table."""
    postgres_server.create_database("empty")
    yield postgres_server.database_url("empty")
    postgres_server.drop_database("empty")


@pytest.fixture
def empty_sqlite_url(tmp_path):
    """The URL of an SQLite file that is not there, in a folder that is not there."""
    return f"sqlite:///{tmp_path}/new/folder/empty.db"


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request):
    return request.getfixturevalue(f"empty_{request.param}_url")


def set_revision(url, revision):
    with connected(url) as engine, engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})


def test_migrations_create_the_tables_of_the_code(database):
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_expected_revision_is_the_newest_script():
    folder = Path(db.migrations.versions.__file__).parent
    newest = max(path.name for path in folder.glob("[0-9]*.py"))
    assert newest.startswith(f"{HEAD}_")


def test_upgrading_an_empty_database_creates_the_tables(empty_url):
    assert upgrade(empty_url) is None
    with connected(empty_url) as engine:
        assert current(engine) == HEAD
        with engine.connect() as connection:
            assert set(metadata.tables) <= set(inspect(connection).get_table_names())


def test_upgrading_twice_is_harmless(empty_url):
    upgrade(empty_url)
    assert upgrade(empty_url) == HEAD


@pytest.fixture
def older_url(empty_url, monkeypatch):
    """The URL of a database as the first version left it, a sound in a batch, and a row."""
    monkeypatch.setattr(migrate, "HEAD", "0001")
    upgrade(empty_url)
    monkeypatch.undo()
    ingest = "INSERT INTO ingests (source, started_at) VALUES ('a test', CURRENT_TIMESTAMP)"
    batch = """
        INSERT INTO batches
            (ingest_id, root, paths, packs, vendors, sound_count, state, attempts, created_at)
        VALUES
            (1, 'r', '["a.wav"]', '["p"]', '["v"]', 1, 'pending', 1, CURRENT_TIMESTAMP)
    """
    sound = """
        INSERT INTO sounds (key, root, path, pack, vendor, status, classified_at)
        VALUES (:key, 'r', 'b.wav', 'p', 'v', 'classified', CURRENT_TIMESTAMP)
    """
    with connected(empty_url) as engine, engine.begin() as connection:
        connection.execute(text(ingest))
        connection.execute(text(batch))
        connection.execute(text(sound), {"key": sound_key("r", "b.wav")})
    return empty_url


def test_an_older_database_keeps_its_batches_without_suspects(older_url):
    assert upgrade(older_url) == "0001"
    with connected(older_url) as engine, engine.begin() as connection:
        assert current(engine) == HEAD
        (batch,) = ledger.take_pending(connection, window=9, limit=9)
        assert batch.paths == ("a.wav",)
        assert recovery.suspect(connection, batch.id) is None


def test_an_older_databases_sounds_can_be_labelled_and_none_is_held_out(older_url):
    upgrade(older_url)
    label = NewLabel(sound_key("r", "b.wav"), "drum", LabelSource.HUMAN)
    with connected(older_url) as engine, engine.begin() as connection:
        assert labels.write_labels(connection, [label], labelled_by="ada") == LabelChanges(new=1)
        (sound,) = training_rows.labelled_after(connection, 0, 9)
        assert (sound.path, sound.held_out) == ("b.wav", None)


def test_an_older_databases_sounds_have_no_by_products_until_they_are_visited(older_url):
    upgrade(older_url)
    with connected(older_url) as engine, engine.begin() as connection:
        (row,) = results(connection)
    assert (row.path, row.tempo_bpm, row.instrument, row.evidence) == ("b.wav", None, None, None)


def test_an_older_databases_batches_are_counted_and_have_no_measures(older_url):
    done = "UPDATE batches SET state = 'done', classified = 1, failed = 0"
    with connected(older_url) as engine, engine.begin() as connection:
        connection.execute(text(done))
    upgrade(older_url)
    with connected(older_url) as engine, engine.begin() as connection:
        assert counts.ledger_counts(connection).classified == 1
        assert batch_metrics.totals(connection).batches == 0


REVISIONS = [f"{number:04}" for number in range(1, int(HEAD) + 1)]

#: A value for a column that must have one, by the type that the database says it has.
VALUES = {
    bool: True,
    bytes: b"\x01" * 16,
    datetime: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    object: [],  # JSON
    float: 0.5,
    int: 1,
    str: "done",
}


def rows_of(engine):
    """All rows of all tables, as the database itself describes them."""
    described = MetaData()
    described.reflect(engine)
    with engine.connect() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for table in described.sorted_tables
            if table.name not in ("alembic_version", "compatibility")
        }


def fill(engine):
    """Put a row into each table, with a value in each column that has a type of ours."""
    described = MetaData()
    described.reflect(engine)
    with engine.begin() as connection:
        for table in described.sorted_tables:
            if table.name in ("alembic_version", "compatibility"):
                continue
            values = {
                column.name: VALUES[column.type.python_type]
                for column in table.columns
                if column.name != "undoes"  # of a promotion: it would undo itself
            }
            connection.execute(table.insert().values(values))


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_populated_database_of_any_revision_is_upgraded(empty_url, monkeypatch, revision):
    # Given a database as that version left it, with a row in each table
    monkeypatch.setattr(migrate, "HEAD", revision)
    upgrade(empty_url)
    monkeypatch.undo()
    with connected(empty_url) as engine:
        fill(engine)
        before = rows_of(engine)
    # When it is upgraded
    upgrade(empty_url)
    with connected(empty_url) as engine:
        after = rows_of(engine)
        # Then every row is unchanged, and the tables are those the code uses
        if revision < "0004":
            del before["training_runs"]  # created again by 0004: no version had written to it
        for table, rows in before.items():
            assert [{name: row[name] for name in rows[0]} for row in after[table]] == rows
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []


def test_sqlite_gets_its_tables_at_first_use(empty_sqlite_url):
    with connected(empty_sqlite_url) as engine:
        require_current(engine)
        assert current(engine) == HEAD


def test_postgres_without_tables_is_refused_with_the_command_that_helps(empty_postgres_url):
    with connected(empty_postgres_url) as engine:
        with pytest.raises(SchemaError, match="run `cratesort db upgrade` once"):
            require_current(engine)
        assert current(engine) is None


def raise_the_floor(url, revision):
    with connected(url) as engine, engine.begin() as connection:
        connection.execute(text("UPDATE compatibility SET oldest_revision = :r"), {"r": revision})


def test_a_newer_database_with_only_additions_is_accepted(database_url):
    set_revision(database_url, "9999")
    with connected(database_url) as engine:
        require_current(engine)
    assert upgrade(database_url) == "9999"


def test_an_incompatible_newer_database_is_refused(database_url):
    set_revision(database_url, "9999")
    raise_the_floor(database_url, "9998")
    with connected(database_url) as engine, pytest.raises(SchemaError, match="revision 9999"):
        require_current(engine)


def test_a_newer_database_without_a_minimum_version_is_refused(database_url):
    set_revision(database_url, "9999")
    with connected(database_url) as engine, engine.begin() as connection:
        connection.execute(text("DROP TABLE compatibility"))
    with connected(database_url) as engine, pytest.raises(SchemaError, match="revision 9999"):
        require_current(engine)


def test_a_newer_database_is_not_upgraded(database_url):
    set_revision(database_url, "9999")
    raise_the_floor(database_url, "9999")
    with pytest.raises(SchemaError, match="install the newer version here, too"):
        upgrade(database_url)
    with connected(database_url) as engine:
        assert current(engine) == "9999"


def test_two_concurrent_upgrades_create_the_tables_once(empty_postgres_url, run_cli):
    settings = {"CRATESORT_DATABASE_URL": empty_postgres_url}
    lock = {"number": migrate._ADVISORY_LOCK}
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    with (
        connected(empty_postgres_url) as engine,
        ThreadPoolExecutor(2) as pool,
        engine.connect() as connection,
    ):
        # Given two hosts that upgrade in the same moment
        connection.execute(text("SELECT pg_advisory_lock(:number)"), lock)
        upgrade = partial(run_cli, "db", "upgrade", settings=settings, process=True)
        runs = [pool.submit(upgrade) for _ in range(2)]
        wait_until(lambda: connection.execute(waiting).scalar_one() == 2, "both stand there")
        # When they go on
        connection.execute(text("SELECT pg_advisory_unlock(:number)"), lock)
        # Then both say so, and the tables are there
        assert [run.result().code for run in runs] == [0, 0]
        assert current(engine) == HEAD


def test_an_unreachable_database_is_an_operational_error(postgres_server):
    unreachable = postgres_server.url.replace(str(postgres_server.port), "1")
    with pytest.raises(OperationalError):
        upgrade(unreachable)
