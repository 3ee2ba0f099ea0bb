"""One database engine per process, and its transactions."""

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

#: A writer of ours holds SQLite for one batch, some 20 ms; a minute of waiting is a stuck process.
SQLITE_BUSY_SECONDS: Final = 60.0

_SQLITE_CACHE_KIB: Final = 32 * 1024


class Patience(NamedTuple):
    """How long a session may run one statement, wait for a lock, and idle in a transaction."""

    statement_seconds: int
    lock_seconds: int
    idle_seconds: int


#: No statement of a command takes longer; a wait that does is for a lock that is never released.
#: Whoever reads `cratesort results` may pause in mid-stream.
COMMAND: Final = Patience(statement_seconds=60, lock_seconds=20, idle_seconds=120)
#: A worker's and an intake's take milliseconds, and what hangs should be tried again within 30 s:
#: 10 s, the margin of `db.postgres_connection`, a back-off of 5 s, a sweep every 10 s. When they
#: give a connection up, the server has released its locks.
SERVICE: Final = Patience(statement_seconds=10, lock_seconds=8, idle_seconds=15)

# Plans are made anew for each execution (0.1 ms): one that was made once, for the empty table of a
# first ingest, reads all of it for each batch, and nothing tells it that there are two million rows
# by now.
_POSTGRES_OPTIONS: Final = "-c plan_cache_mode=force_custom_plan -c timezone=utc"

#: What libpq reads of the environment beside the URL, and what it would then take from there
#: (https://www.postgresql.org/docs/current/libpq-envars.html). Others fill in what a URL leaves
#: open, as PGPASSWORD does, or are overridden by `_connect_args`.
_REFUSED_VARIABLES: Final = {
    "PGHOSTADDR": "another address than the URL's",
    "PGSERVICE": "another server than the URL's",
    "PGDATESTYLE": "a form of times that cannot be read",
    "PGTZ": "another time zone than UTC",
}


#: Those of each engine that are open.
_sqlite_connections: Final[WeakKeyDictionary[Engine, list[Any]]] = WeakKeyDictionary()


class DatabaseUrlError(ValueError):
    """A database URL that is not one, or names a database that is not supported."""


def parse_url(url: str) -> URL:
    """Return a database URL with the driver this project uses.

    - `url`: ``sqlite:///FILE`` or ``postgresql://USER:PASSWORD@HOST/NAME``.

    Raises DatabaseUrlError, which names what was expected and never repeats the URL: it may hold a
    password.
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
            # The rest of a password would be printed as the name of a host.
            raise DatabaseUrlError(
                "expected postgresql://user:password@host/name with one @: write @ / # ? % in a "
                "password as %40 %2F %23 %3F %25"
            )
        return parsed.set(drivername="postgresql+psycopg")
    if name == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise DatabaseUrlError(
                "an SQLite URL must name a file (sqlite:////home/me/cratesort.db): results in "
                "memory would be gone with the process"
            )
        return parsed.set(database=os.path.expanduser(parsed.database))
    raise DatabaseUrlError(f"expected sqlite or postgresql, got {name!r}")


def shown(url: str) -> str:
    """Return a database URL as it may be shown: without its password, and without its options.

    libpq takes a password among the options too.
    """
    return parse_url(url).set(query={}).render_as_string(hide_password=True)


def connected_to(connection: Connection) -> str:
    """Return where a connection leads, as `shown` does: libpq fills in what a URL leaves open."""
    url = connection.engine.url
    if connection.dialect.name == "postgresql":
        info: Any = connection.connection.driver_connection.info  # type: ignore[union-attr]
        url = url.set(host=info.host, port=info.port, username=info.user, database=info.dbname)
    return shown(url.render_as_string(hide_password=False))


def is_missing(url: str) -> bool:
    """Whether a URL names an SQLite file that is not there; to look must not be to make."""
    parsed = parse_url(url)
    return parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).exists()


def create_engine(url: str, patience: Patience = COMMAND) -> Engine:
    """Return a new engine; nothing is connected yet.

    Made once a process and *after* a fork: two processes must not share a connection.

    - `url`: as for `parse_url`. The folder of an SQLite file is created.
    - `patience`: of PostgreSQL and with it; `COMMAND` or `SERVICE`.

    Raises DatabaseUrlError as `parse_url` does.
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
            connect_args=_connect_args(parsed, patience),
            # A connection that died while idle is replaced, not handed to a batch.
            pool_pre_ping=dialect == "postgresql",
            # Errors must not print the rows they were about, nor a URL.
            hide_parameters=True,
        )
    except NoSuchModuleError as error:  # pragma: no cover - both drivers are dependencies
        raise DatabaseUrlError(str(error)) from error
    if dialect == "sqlite":
        _prepare_sqlite(engine)
    else:
        _prepare_postgres(engine, patience)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that only reads; on SQLite it never waits for a writer."""
    with engine.connect() as connection:
        connection = connection.execution_options(readonly=True)
        with connection.begin():
            yield connection


def let_go(engine: Engine) -> None:
    """Roll back what this process was doing when it was interrupted, and begin with another pool.

    KeyboardInterrupt may be raised anywhere in SQLAlchemy: between a BEGIN and the block that ends
    it, or while a lock of the pool is held. The process would then wait for itself.
    """
    for connection in _sqlite_connections.get(engine, ()):
        with suppress(sqlite3.Error):
            connection.rollback()
    engine.dispose(close=False)


def _refuse_variables() -> None:
    for name, taken in _REFUSED_VARIABLES.items():
        if os.environ.get(name):
            raise DatabaseUrlError(f"{name} is set too and names {taken}: unset {name}")


def _connect_args(url: URL, patience: Patience) -> dict[str, Any]:
    """Return what the driver is given when it connects; it counts more than the URL's own."""
    if url.get_backend_name() == "postgresql":
        # A search_path of the URL decides where the tables lie. The last of an option counts.
        given = " ".join(url.normalized_query.get("options", ()))
        return {
            "connect_timeout": 5,
            "options": f"{given} {_POSTGRES_OPTIONS} "
            f"-c statement_timeout={patience.statement_seconds}s "
            f"-c lock_timeout={patience.lock_seconds}s "
            f"-c idle_in_transaction_session_timeout={patience.idle_seconds}s",
            # Packets that are lost are noticed in about 20 s: by the first three while nothing was
            # sent (by default two hours), by the last while something is unacknowledged (16 min).
            "keepalives_idle": 10,
            "keepalives_interval": 3,
            "keepalives_count": 3,
            "tcp_user_timeout": 20_000,
            "application_name": "cratesort",
            # Whatever the database's own encoding is: else not even that could be read.
            "client_encoding": "utf8",
        }
    return {"timeout": SQLITE_BUSY_SECONDS}


def _prepare_postgres(engine: Engine, patience: Patience) -> None:
    """Have new connections of `engine` notice a server that falls silent."""

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, args: Any, parameters: Any) -> Any:
        # Here: SQLite needs no driver of PostgreSQL.
        from db.postgres_connection import BoundedConnection

        return BoundedConnection.open(patience.statement_seconds, *args, **parameters)


def _prepare_sqlite(engine: Engine) -> None:
    """Attach what each new connection and transaction of `engine` needs."""
    connections: list[Any] = []
    _sqlite_connections[engine] = connections

    @event.listens_for(engine, "close")
    def _on_close(connection: Any, _record: Any) -> None:
        # SQLite keeps a closed connection, and its lock, as long as one of its cursors has rows
        # left. The traceback of an interrupt holds such a cursor.
        with suppress(sqlite3.Error):
            connection.rollback()
        connections.remove(connection)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        connections.append(connection)
        # The driver must not open transactions of its own: `begin` below decides their kind.
        connection.isolation_level = None
        cursor = connection.cursor()
        # WAL: readers (status, results) never wait for the writer. NORMAL: a power cut may cost
        # the last transactions, whose files are then simply classified again; never consistency.
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        # The default of 2 MB holds no index of a large table, in which keys come in no order.
        cursor.execute(f"PRAGMA cache_size=-{_SQLITE_CACHE_KIB}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        # A transaction that starts as a reader and then writes can fail at once, busy timeout or
        # not, when another wrote in between (SQLITE_BUSY_SNAPSHOT).
        readonly = connection.get_execution_options().get("readonly", False)
        connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")
