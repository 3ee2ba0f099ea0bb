"""Where PostgreSQL and SQLite differ: clocks, locks, upserts, connection settings. Only here."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Engine,
    Row,
    Select,
    Table,
    any_,
    cast,
    event,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import Insert as PostgresInsert
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, TypeEngine

#: A writer of ours holds SQLite for one batch, some 20 ms; a minute of waiting is a stuck process.
SQLITE_BUSY_SECONDS: Final = 60.0

_SQLITE_CACHE_KIB: Final = 32 * 1024

#: Of SQLite's virtual machine, between two looks at the clock: some milliseconds.
_SQLITE_STEPS: Final = 100_000

# One statement of ours never takes this long; a wait that does is a lock nobody releases.
#
# Plans are made anew for each execution (0.1 ms): one that was made once, for the empty table of a
# first ingest, reads all of it for each batch, and nothing tells it that there are two million rows
# by now.
_POSTGRES_OPTIONS: Final = (
    "-c statement_timeout=60s -c lock_timeout=20s -c idle_in_transaction_session_timeout=120s "
    "-c plan_cache_mode=force_custom_plan -c timezone=utc"
)


class now(FunctionElement[datetime]):  # noqa: N801  (a SQL function, spelled as one)
    """The database's clock, plus `seconds`.

    clock_timestamp() and not now(): inside a transaction that waited for a lock, now() is the
    moment it began, and a lease written with it would already be shorter than promised.
    """

    type = DateTime(timezone=True)
    inherit_cache = True
    name = "cratesort_now"

    def __init__(self, seconds: float | ColumnElement[float] = 0) -> None:
        super().__init__(seconds)


@compiles(now, "postgresql")
def _now_postgres(element: now, compiler: SQLCompiler, **kw: Any) -> str:
    seconds = compiler.process(element.clauses, **kw)
    return f"(clock_timestamp() + make_interval(secs => CAST({seconds} AS double precision)))"


@compiles(now, "sqlite")
def _now_sqlite(element: now, compiler: SQLCompiler, **kw: Any) -> str:
    seconds = compiler.process(element.clauses, **kw)
    # The very text SQLAlchemy stores for a datetime, so that stored times compare as strings.
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', {seconds} || ' seconds') || '000')"


def clock(connection: Connection) -> datetime:
    """Return the database's time, in UTC; SQLite's comes without saying so."""
    moment: datetime = connection.execute(select(now())).scalar_one()
    return moment.replace(tzinfo=UTC)


def insert(connection: Connection, table: Table) -> PostgresInsert | SqliteInsert:
    """Return the dialect's INSERT, which knows ON CONFLICT."""
    if connection.dialect.name == "postgresql":
        return postgres_insert(table)
    return sqlite_insert(table)


def skip_locked(query: Select[Any]) -> Select[Any]:
    """Lock the chosen rows and pass over those another process holds.

    Compiles to nothing on SQLite, where `begin` has already locked the whole database.
    """
    return query.with_for_update(skip_locked=True)


@contextmanager
def limited(connection: Connection, seconds: float) -> Iterator[None]:
    """Let no statement of the block take longer than this; on SQLite, not the block itself.

    Raises
    ------
    sqlalchemy.exc.OperationalError
        In the block: one did.
    """
    if connection.dialect.name == "postgresql":
        # LOCAL: until the transaction ends. It takes no parameters.
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {round(1000 * seconds)}")
        yield
        return
    ends_at = time.monotonic() + seconds
    driver: Any = connection.connection.dbapi_connection
    driver.set_progress_handler(lambda: time.monotonic() > ends_at, _SQLITE_STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, _SQLITE_STEPS)


def first_rows_first(connection: Connection) -> None:
    """Have the streams of this transaction planned for their first rows; SQLite's always are.

    PostgreSQL expects that a tenth of a stream is read, and sorts a table for it.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL cursor_tuple_fraction = 0.001")


def lock_table(connection: Connection, table: Table) -> None:
    """Let no other transaction change a table until this one ends; reading goes on.

    Nothing to do on SQLite, where `begin` has already locked the whole database.
    """
    if connection.dialect.name == "postgresql":
        name = connection.dialect.identifier_preparer.format_table(table)
        connection.exec_driver_sql(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")


def array_literal(values: Sequence[Any]) -> str:
    r"""Return plain values as PostgreSQL writes an array (its manual, 8.15.6).

    The driver can do this too, in Python and with two regular expressions a value: that was half
    of what writing a row cost.

    Examples
    --------
    >>> array_literal(['a "b"', None, "NULL"])
    '{"a \\"b\\"",NULL,"NULL"}'
    """
    # A column of a batch mostly says the same again; who is like another is written like it.
    distinct = set(values)
    if 2 * len(distinct) > len(values):
        return "{" + ",".join(map(_element, values)) + "}"
    written = {value: _element(value) for value in distinct}
    return "{" + ",".join(map(written.__getitem__, values)) + "}"


def array(parameter: ColumnElement[Any], of: TypeEngine[Any]) -> ColumnElement[Any]:
    """Return a parameter that holds an `array_literal` as an array of this type.

    The parameter must have no type of its own (`NullType`). As a text it would be converted while
    the statement runs, and in a scan once for every row of the table.
    """
    return cast(parameter, ARRAY(of))


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bytes):
        return f'"\\\\x{value.hex()}"'
    return str(value)


def one_of(connection: Connection, column: ColumnElement[Any], values: Sequence[Any]) -> Any:
    """Return ``column IN values``; one parameter on PostgreSQL, so that its text is always one."""
    if connection.dialect.name == "postgresql":
        return column == any_(array(literal(array_literal(values), NullType()), column.type))
    return column.in_(values)


def rows_of(
    connection: Connection,
    columns: Sequence[Column[Any]],
    key: Column[bytes],
    keys: Sequence[bytes],
) -> Sequence[Row[Any]]:
    """Return `columns` of the rows of one table whose `key` is one of `keys`.

    What `one_of` asks, for a walk that asks it of millions: to hand SQLite a key at a time takes
    SQLAlchemy longer than the look-up takes the database.

    Parameters
    ----------
    columns : sequence of Column
        Of types that the drivers need not convert.
    key : Column
        Of the same table.
    keys : sequence of bytes
        Not empty, and no more than one statement takes.
    """
    if connection.dialect.name == "postgresql":
        return connection.execute(select(*columns).where(one_of(connection, key, keys))).all()
    names = ", ".join(column.name for column in columns)
    # The last one again and again, up to a power of two: the driver keeps a hundred statements, and
    # of every number of keys one would fill the memory.
    size = 1 << (len(keys) - 1).bit_length()
    padded = [*keys, *[keys[-1]] * (size - len(keys))]
    marks = ", ".join("?" * size)
    return connection.exec_driver_sql(
        f"SELECT {names} FROM {key.table.name} WHERE {key.name} IN ({marks})",  # noqa: S608  (ours)
        tuple(padded),
    ).all()


def connect_args(dialect: str) -> dict[str, Any]:
    """Return what the driver is given when it connects."""
    if dialect == "postgresql":
        return {
            "connect_timeout": 5,
            "options": _POSTGRES_OPTIONS,
            # A host that vanished is noticed in about 20 s instead of the kernel's two hours.
            "keepalives_idle": 10,
            "keepalives_interval": 3,
            "keepalives_count": 3,
            "application_name": "cratesort",
        }
    return {"timeout": SQLITE_BUSY_SECONDS}


def prepare(engine: Engine) -> None:
    """Attach what each new connection and transaction of `engine` needs."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
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
