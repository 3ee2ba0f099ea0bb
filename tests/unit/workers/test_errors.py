"""Whose fault an error is, and what a person is told of it."""

import errno

import kombu.exceptions
import pytest
import redis.exceptions
import sqlalchemy.exc
from psycopg.errors import ReadOnlySqlTransaction
from sqlalchemy import insert, text

from classifier.errors import BundleError, ErrorCode, SoundError
from db.dialects import now
from db.engine import create_engine
from db.errors import plain
from db.tables import batches
from tests.support.servers.lifecycle import free_port
from workers.errors import LibraryRootAwayError, is_worlds


@pytest.fixture
def database(database_url):
    """An engine on either database."""
    engine = create_engine(database_url)
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    "error",
    [
        kombu.exceptions.OperationalError("away"),
        redis.exceptions.ConnectionError("refused"),
        redis.exceptions.TimeoutError("frozen"),
        redis.exceptions.BusyLoadingError("reading its file"),
        redis.exceptions.OutOfMemoryError("full"),
        redis.exceptions.ReadOnlyError("a replica"),
        redis.exceptions.MasterDownError("alone"),
        ConnectionResetError("by peer"),
        BrokenPipeError("gone"),
        TimeoutError("slow"),
        sqlalchemy.exc.OperationalError("SELECT 1", {}, Exception("locked")),
        sqlalchemy.exc.InterfaceError("SELECT 1", {}, Exception("closed")),
        sqlalchemy.exc.TimeoutError("the pool is empty"),
        sqlalchemy.exc.DBAPIError("SELECT 1", {}, Exception("cut"), connection_invalidated=True),
        sqlalchemy.exc.InternalError("INSERT", {}, ReadOnlySqlTransaction("a standby")),
        LibraryRootAwayError("not mounted"),
    ],
    ids=lambda error: f"{type(error).__module__}.{type(error).__name__}",
)
def test_a_service_or_a_mount_that_is_away_is_the_worlds_fault(error):
    assert is_worlds(error)


def test_of_the_systems_errors_these_and_no_others_are_the_worlds_fault():
    worlds = {name for number, name in errno.errorcode.items() if is_worlds(OSError(number, ""))}
    storage = {"EIO", "ESTALE", "ENOSPC"}
    means = {"EMFILE", "ENFILE", "ENOMEM", "EAGAIN"}
    network = {"EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ENOTCONN", "ETIMEDOUT"}
    # Python makes ConnectionError of these.
    connection = {"ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EPIPE", "ESHUTDOWN"}
    assert worlds == storage | means | network | connection


@pytest.mark.parametrize(
    "error",
    [
        SoundError(ErrorCode.TRUNCATED, "cut short"),
        BundleError("wrong hash"),
        FileNotFoundError(errno.ENOENT, "no such file"),
        PermissionError(errno.EACCES, "not allowed"),
        OSError("without a number"),
        ValueError("a bug"),
        MemoryError(),
        AssertionError(),
        KeyboardInterrupt(),
        sqlalchemy.exc.IntegrityError("INSERT", {}, Exception("twice")),
        sqlalchemy.exc.ProgrammingError("SELECT", {}, Exception("no such column")),
        sqlalchemy.exc.DataError("INSERT", {}, Exception("too long")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_anything_else_is_not_the_worlds_fault(error):
    assert not is_worlds(error)


# Real ones


def test_a_database_that_nobody_serves_is_the_worlds_fault():
    engine = create_engine(f"postgresql://me:hush-hush@127.0.0.1:{free_port()}/x")
    with pytest.raises(sqlalchemy.exc.SQLAlchemyError) as refused, engine.connect():
        pass
    assert is_worlds(refused.value)
    assert "hush-hush" not in plain(refused.value)


def test_a_redis_that_nobody_serves_is_the_worlds_fault():
    client = redis.Redis.from_url(f"redis://:hush-hush@127.0.0.1:{free_port()}/0")
    with client, pytest.raises(redis.exceptions.RedisError) as refused:
        client.ping()
    assert is_worlds(refused.value)
    assert "hush-hush" not in plain(refused.value)


def test_a_row_that_breaks_a_rule_of_the_tables_is_our_fault(database):
    # Given a batch of an ingest that does not exist
    row = insert(batches).values(
        ingest_id=1,
        root="",
        paths=[],
        packs=[],
        vendors=[],
        sound_count=0,
        state="",
        created_at=now(),
    )
    # When it is written
    with pytest.raises(sqlalchemy.exc.SQLAlchemyError) as refused, database.begin() as connection:
        connection.execute(row)
    # Then
    assert not is_worlds(refused.value)


# What is said


def test_a_database_error_is_told_without_its_statement_and_the_rows_it_was_about(database):
    statement = text("SELECT no_such_column, CAST(:value AS VARCHAR(99)) AS v FROM sounds")
    with (
        pytest.raises(sqlalchemy.exc.SQLAlchemyError) as refused,
        database.connect() as connection,
    ):
        connection.execute(statement, {"value": "a secret path"})
    told = plain(refused.value)
    assert "no_such_column" in told
    assert "a secret path" not in told
    assert "SELECT" not in told
    assert "sqlalche.me" not in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("one\n  two\tthree\n"), "one two three"),
        (ValueError(), "ValueError"),
        (ValueError(" \n"), "ValueError"),
        (OSError(errno.EIO, "Input/output error"), "[Errno 5] Input/output error"),
    ],
)
def test_an_error_is_told_in_one_line_that_is_never_empty(error, told):
    assert plain(error) == told
