"""Creation of the database engine, one per process, and its kinds of transactions."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import StaticPool

#: A worker locks SQLite for one batch, some 20 ms; after a minute of waiting, a process is stuck.
SQLITE_BUSY_SECONDS: Final = 60.0

_SQLITE_CACHE_KIB: Final = 32 * 1024


class Timeouts(NamedTuple):
    """Limits of a PostgreSQL session: one statement, waiting for a lock, idle in a transaction."""

    statement_seconds: int
    lock_seconds: int
    idle_seconds: int


#: For commands. Their statements take less; a longer wait is for a lock that is never released.
#: The idle time lets the reader of `cratesort results` pause in mid-stream.
COMMAND: Final = Timeouts(statement_seconds=60, lock_seconds=20, idle_seconds=120)
#: For workers and intakes. Their statements take milliseconds, and one that hangs should be tried
#: again within 30 s: 10 s, the margin of `db.postgres_connection`, a back-off of 5 s, and a sweep
#: every 10 s. The server ends the statement and releases its locks before the client closes the
#: connection.
SERVICE: Final = Timeouts(statement_seconds=10, lock_seconds=8, idle_seconds=15)

# Statements are planned at each execution (0.1 ms). A plan from the first ingest, when the table
# was empty, would scan the whole table for each batch, even when it has two million rows.
_POSTGRES_OPTIONS: Final = "-c plan_cache_mode=force_custom_plan -c timezone=utc"

#: Variables of libpq that would override the URL, and their effect
#: (https://www.postgresql.org/docs/current/libpq-envars.html). The others only supply what the URL
#: leaves out, as PGPASSWORD does, or are overridden by `_connect_args`.
_REFUSED_VARIABLES: Final = {
    "PGHOSTADDR": "would replace the host of the URL",
    "PGSERVICE": "would replace the server of the URL",
    "PGDATESTYLE": "would change the format of times, which must be ISO",
    "PGTZ": "would change the time zone, which must be UTC",
}


#: The open connections of each SQLite engine.
_sqlite_connections: Final[WeakKeyDictionary[Engine, list[Any]]] = WeakKeyDictionary()


class DatabaseUrlError(ValueError):
    """A malformed database URL, or one of an unsupported database."""


def parse_url(url: str) -> URL:
    """Return a database URL with the driver this project uses.

    - `url`: ``sqlite:///FILE`` or ``postgresql://USER:PASSWORD@HOST/NAME``.

    Raises DatabaseUrlError: the message states what was expected, without the URL, which may
    contain a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise DatabaseUrlError(
            "expected a database URL like sqlite:////home/me/cratesort.db or "
            "postgresql://user:password@host/name"
        ) from error
    name = parsed.drivername.partition("+")[0]
    if name in ("postgresql", "postgres"):
        if "@" in f"{parsed.host}{parsed.database}":
            # A part of the password would be taken for the host, and printed.
            raise DatabaseUrlError(
                "expected postgresql://user:password@host/name with one @: write @ / # ? % in a "
                "password as %40 %2F %23 %3F %25"
            )
        return parsed.set(drivername="postgresql+psycopg")
    if name == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise DatabaseUrlError(
                "an SQLite URL must name a file (sqlite:////home/me/cratesort.db); a database in "
                "memory would be lost at exit"
            )
        return parsed.set(database=os.path.expanduser(parsed.database))
    raise DatabaseUrlError(f"expected sqlite or postgresql, got {name!r}")


def shown(url: str) -> str:
    """Return a database URL for display: without its password, and without its options.

    libpq accepts a password among the options, too.
    """
    return parse_url(url).set(query={}).render_as_string(hide_password=True)


def connected_to(connection: Connection) -> str:
    """Return the URL of a connection for display, with what libpq supplied for missing parts."""
    url = connection.engine.url
    if connection.dialect.name == "postgresql":
        info: Any = connection.connection.driver_connection.info  # type: ignore[union-attr]
        url = url.set(host=info.host, port=info.port, username=info.user, database=info.dbname)
    return shown(url.render_as_string(hide_password=False))


def is_missing(url: str) -> bool:
    """Whether a URL names an SQLite file that does not exist; the check does not create it."""
    parsed = parse_url(url)
    return parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).exists()


def create_engine(url: str, timeouts: Timeouts = COMMAND) -> Engine:
    """Return a new engine, not yet connected.

    Call this once per process and *after* a fork: two processes must not share a connection.

    - `url`: as for `parse_url`. The folder of an SQLite file is created.
    - `timeouts`: time limits on PostgreSQL, `COMMAND` or `SERVICE`; not used for SQLite.

    Raises DatabaseUrlError as `parse_url` does, and for a variable that would override the URL.
    """
    parsed = parse_url(url)
    dialect = parsed.get_backend_name()
    if dialect == "postgresql":
        _refuse_variables()
    if dialect == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    try:
        engine = sqlalchemy.create_engine(
            parsed,
            connect_args=_connect_args(parsed, timeouts),
            # A connection that died while idle is replaced before it is used.
            pool_pre_ping=dialect == "postgresql",
            json_deserializer=_json_value,
            # Error messages must not contain rows or URLs.
            hide_parameters=True,
        )
    except NoSuchModuleError as error:  # pragma: no cover - both drivers are dependencies
        raise DatabaseUrlError(str(error)) from error
    if dialect == "sqlite":
        _prepare_sqlite(engine)
    else:
        _prepare_postgres(engine, timeouts)
    return engine


def create_empty_engine() -> Engine:
    """Return a new engine of an empty SQLite database in memory, with one connection."""
    engine = sqlalchemy.create_engine("sqlite://", poolclass=StaticPool)
    _prepare_sqlite(engine)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a read-only transaction; on SQLite it never waits for a writer."""
    with engine.connect() as connection:
        connection = connection.execution_options(readonly=True)
        with connection.begin():
            yield connection


def reset_connections(engine: Engine) -> None:
    """Roll back open SQLite transactions after an interrupt, and replace the connection pool.

    KeyboardInterrupt may be raised anywhere in SQLAlchemy: between a BEGIN and the block that ends
    it, or while a lock of the pool is held. Without this the process could deadlock with itself.
    """
    for connection in _sqlite_connections.get(engine, ()):
        with suppress(sqlite3.Error):
            connection.rollback()
    engine.dispose(close=False)


def _json_value(stored: str | bytes) -> Any:
    """Decode a value of a JSON column; None if that is impossible.

    Another program may have written it. An error here would be raised for the whole result, and a
    single bad row of `batches` would keep all others from being read. PostgreSQL's driver decodes
    by itself, so that this cannot be a column type.
    """
    try:
        return json.loads(stored)
    except (ValueError, RecursionError):  # no JSON (only in SQLite), or nested too deeply
        return None


def _refuse_variables() -> None:
    for name, effect in _REFUSED_VARIABLES.items():
        if os.environ.get(name):
            raise DatabaseUrlError(f"the environment variable {name} {effect}; unset {name}")


def _connect_args(url: URL, timeouts: Timeouts) -> dict[str, Any]:
    """Return the arguments of the driver's connect function; they override those of the URL."""
    if url.get_backend_name() == "postgresql":
        # Keep the URL's options: its search_path decides where the tables are. Options that come
        # later override them.
        options = " ".join(url.normalized_query.get("options", ()))
        return {
            "connect_timeout": 5,
            "options": f"{options} {_POSTGRES_OPTIONS} "
            f"-c statement_timeout={timeouts.statement_seconds}s "
            f"-c lock_timeout={timeouts.lock_seconds}s "
            f"-c idle_in_transaction_session_timeout={timeouts.idle_seconds}s",
            # Lost packets are detected within about 20 s: by keepalives while the connection is
            # idle (default: two hours), by tcp_user_timeout while sent data is unacknowledged
            # (default: 16 min).
            "keepalives_idle": 10,
            "keepalives_interval": 3,
            "keepalives_count": 3,
            "tcp_user_timeout": 20_000,
            "application_name": "cratesort",
            # Set for databases of any encoding: otherwise even reading their encoding may fail.
            "client_encoding": "utf8",
        }
    return {"timeout": SQLITE_BUSY_SECONDS}


def _prepare_postgres(engine: Engine, timeouts: Timeouts) -> None:
    """Make new connections of `engine` detect an unresponsive server."""

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, args: Any, parameters: Any) -> Any:
        # Imported here, so that SQLite users do not load PostgreSQL's driver.
        from db.postgres_connection import BoundedConnection

        return BoundedConnection.open(timeouts.statement_seconds, *args, **parameters)


def _prepare_sqlite(engine: Engine) -> None:
    """Configure the new connections and transactions of `engine`, and track the open ones."""
    connections: list[Any] = []
    _sqlite_connections[engine] = connections

    @event.listens_for(engine, "close")
    def _on_close(connection: Any, _record: Any) -> None:
        # SQLite keeps a closed connection, and its lock, while one of its cursors has unread rows.
        # The traceback of an interrupt refers to such a cursor.
        with suppress(sqlite3.Error):
            connection.rollback()
        connections.remove(connection)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        connections.append(connection)
        # The driver must not open transactions of its own: `begin` below decides their kind.
        connection.isolation_level = None
        cursor = connection.cursor()
        # WAL: readers (status, results) never wait for the writer. NORMAL: a power cut may lose the
        # last transactions, and their files are classified again; the database stays consistent.
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        # The default of 2 MB is smaller than an index of a large table, and keys are random.
        cursor.execute(f"PRAGMA cache_size=-{_SQLITE_CACHE_KIB}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        # A transaction that starts by reading and then writes fails at once, despite the busy
        # timeout, if another one wrote in between (SQLITE_BUSY_SNAPSHOT).
        readonly = connection.get_execution_options().get("readonly", False)
        connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")
