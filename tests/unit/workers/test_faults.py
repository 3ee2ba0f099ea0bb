"""How errors are classified, and the line that a user reads about one."""

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
from workers.errors import LibraryRootAwayError
from workers.faults import Fault
from workers.settings import ConfigurationError


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
        OSError(errno.EIO, "a disk"),
        LibraryRootAwayError("not mounted"),
    ],
    ids=lambda error: f"{type(error).__module__}.{type(error).__name__}",
)
def test_an_unreachable_service_or_mount_is_a_transient_error(error):
    assert Fault.of(error) is Fault.TRANSIENT


def test_only_these_system_errors_are_transient():
    transient = {
        name
        for number, name in errno.errorcode.items()
        if Fault.of(OSError(number, "")) is Fault.TRANSIENT
    }
    storage = {"EIO", "EREMOTEIO", "ESTALE", "ENODEV", "ENOLCK", "ENOMEDIUM", "ENOSPC"}
    means = {"EMFILE", "ENFILE", "ENOMEM", "EAGAIN"}
    network = {"EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ENOTCONN", "ETIMEDOUT"}
    # Python makes ConnectionError of these.
    connection = {"ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EPIPE", "ESHUTDOWN"}
    assert transient == storage | means | network | connection


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (SoundError(ErrorCode.TRUNCATED, "cut short"), Fault.FILE),
        (BundleError("wrong hash"), Fault.OPERATOR),
        (ConfigurationError("no such root"), Fault.OPERATOR),
        (FileNotFoundError(errno.ENOENT, "no such file"), Fault.BUG),
        (PermissionError(errno.EACCES, "not allowed"), Fault.BUG),
        (OSError("without a number"), Fault.BUG),
        (ValueError("a bug"), Fault.BUG),
        (MemoryError(), Fault.BUG),
        (AssertionError(), Fault.BUG),
        (sqlalchemy.exc.IntegrityError("INSERT", {}, Exception("twice")), Fault.BUG),
        (sqlalchemy.exc.ProgrammingError("SELECT", {}, Exception("no such column")), Fault.BUG),
        (sqlalchemy.exc.DataError("INSERT", {}, Exception("too long")), Fault.BUG),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.name,
)
def test_file_errors_wrong_settings_and_bugs_are_distinguished(error, fault):
    assert Fault.of(error) is fault


# Real ones


def test_an_unreachable_database_is_a_transient_error():
    engine = create_engine(f"postgresql://me:hush-hush@127.0.0.1:{free_port()}/x")
    with pytest.raises(sqlalchemy.exc.SQLAlchemyError) as refused, engine.connect():
        pass
    assert Fault.of(refused.value) is Fault.TRANSIENT
    assert "hush-hush" not in plain(refused.value)


def test_an_unreachable_redis_is_a_transient_error():
    client = redis.Redis.from_url(f"redis://:hush-hush@127.0.0.1:{free_port()}/0")
    with client, pytest.raises(redis.exceptions.RedisError) as refused:
        client.ping()
    assert Fault.of(refused.value) is Fault.TRANSIENT
    assert "hush-hush" not in plain(refused.value)


def test_a_row_that_violates_a_constraint_is_a_bug(database):
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
    assert Fault.of(refused.value) is Fault.BUG


# What is said


def test_a_database_error_is_shown_without_its_statement_and_parameters(database):
    statement = text("SELECT no_such_column, CAST(:value AS VARCHAR(99)) AS v FROM sounds")
    with (
        pytest.raises(sqlalchemy.exc.SQLAlchemyError) as refused,
        database.connect() as connection,
    ):
        connection.execute(statement, {"value": "a secret path"})
    shown = plain(refused.value)
    assert "no_such_column" in shown
    assert "a secret path" not in shown
    assert "SELECT" not in shown
    assert "sqlalche.me" not in shown
    assert len(shown.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("one\n  two\tthree\n"), "one two three"),
        (ValueError(), "ValueError"),
        (ValueError(" \n"), "ValueError"),
        (OSError(errno.EIO, "Input/output error"), "[Errno 5] Input/output error"),
    ],
)
def test_an_error_is_shown_in_one_nonempty_line(error, text):
    assert plain(error) == text
