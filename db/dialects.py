"""Where the SQL of PostgreSQL and SQLite differs: clocks, locks, limits, inserts."""

import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Integer,
    Select,
    Table,
    case,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import Insert as PostgresInsert
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

#: Instructions of SQLite's virtual machine between two checks of the clock: some milliseconds.
_SQLITE_STEPS: Final = 100_000


class now(FunctionElement[datetime]):  # noqa: N801  (a SQL function, spelled as one)
    """The database's clock, plus `seconds`.

    On PostgreSQL this is clock_timestamp() and not now(), which is the start of the transaction:
    after a wait for a lock, a lease computed from now() would be too short.
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
    # The format in which SQLAlchemy stores a datetime, so that stored times compare as strings.
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', {seconds} || ' seconds') || '000')"


def sum_of(column: Column[int]) -> ColumnElement[int]:
    """Return the sum of a column of counts, 0 without rows.

    Values that PostgreSQL's INTEGER does not have, and negative ones, are omitted: a column of
    SQLite holds what another program writes, infinite numbers and texts included.
    """
    return func.coalesce(func.sum(case((column.between(0, 2**31 - 1), column))), 0)


class json_items(FunctionElement[Any]):  # noqa: N801  (a SQL function, spelled as one)
    """The items of a JSON list from position `first` up to, but not including, `stop`; a list.

    The list is empty if there are none, or if the value is not a list.
    """

    type = JSON()
    inherit_cache = True
    name = "cratesort_json_items"

    def __init__(self, column: Column[Any], first: int, stop: int) -> None:
        super().__init__(column, literal(first, Integer()), literal(stop, Integer()))


@compiles(json_items, "postgresql")
def _json_items_postgres(element: json_items, compiler: SQLCompiler, **kw: Any) -> str:
    column, first, stop = (compiler.process(clause, **kw) for clause in element.clauses)
    return (
        "(SELECT coalesce(json_agg(item.value ORDER BY item.place), '[]') "  # noqa: S608  (ours)
        f"FROM json_array_elements(CASE json_typeof({column}) WHEN 'array' THEN {column} "
        "ELSE '[]' END) WITH ORDINALITY AS item(value, place) "
        f"WHERE item.place > {first} AND item.place <= {stop})"
    )


@compiles(json_items, "sqlite")
def _json_items_sqlite(element: json_items, compiler: SQLCompiler, **kw: Any) -> str:
    column, first, stop = (compiler.process(clause, **kw) for clause in element.clauses)
    return (
        "(SELECT json_group_array(item.value) FROM "  # noqa: S608  (ours, no values)
        f"(SELECT value FROM json_each(CASE WHEN json_valid({column}) THEN {column} ELSE '[]' END) "
        f"WHERE key >= {first} AND key < {stop} ORDER BY key) AS item)"
    )


def clock(connection: Connection) -> datetime:
    """Return the database's time in UTC, as an aware datetime; SQLite's has no time zone."""
    moment: datetime = connection.execute(select(now())).scalar_one()
    return moment.replace(tzinfo=UTC)


def seconds_since(past: datetime, moment: datetime) -> float:
    """Return the seconds from one time of the database to its present, `moment`.

    A `past` in the future was written before the clock was set back. Its age is unknown; the
    distance is returned instead of zero, so that alerts on the age still fire.
    """
    return abs((moment - past).total_seconds())


def insert(connection: Connection, table: Table) -> PostgresInsert | SqliteInsert:
    """Return the dialect's INSERT, which supports ON CONFLICT."""
    if connection.dialect.name == "postgresql":
        return postgres_insert(table)
    return sqlite_insert(table)


def skip_locked(query: Select[Any]) -> Select[Any]:
    """Lock the chosen rows, and skip rows that another process has locked.

    No effect on SQLite, where BEGIN IMMEDIATE has already locked the whole database.
    """
    return query.with_for_update(skip_locked=True)


@contextmanager
def limited(connection: Connection, seconds: float) -> Iterator[None]:
    """Limit the time of each statement in the block; on SQLite, the limit is for the whole block.

    Raises sqlalchemy.exc.OperationalError inside the block when a statement exceeds it.
    """
    if connection.dialect.name == "postgresql":
        # LOCAL: until the transaction ends. SET accepts no bind parameters.
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


def unlimited(connection: Connection) -> None:
    """Remove PostgreSQL's time limit on statements for this transaction; no effect on SQLite."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        driver: Any = connection.connection.dbapi_connection
        driver.response_timeout_seconds = math.inf


@contextmanager
def without_waiting(connection: Connection) -> Iterator[None]:
    """Do not wait for another writer of SQLite: if there is one, leave the block without an error.

    No effect on PostgreSQL, which locks rows.
    """
    if connection.dialect.name == "postgresql":
        yield
        return
    driver: Any = connection.connection.dbapi_connection
    (milliseconds,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    except OperationalError as error:
        if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
            raise
    finally:
        driver.execute(f"PRAGMA busy_timeout = {milliseconds}")


def first_rows_first(connection: Connection) -> None:
    """Make PostgreSQL choose plans that return the first rows of a stream early, as SQLite does.

    By default PostgreSQL assumes that a tenth of a stream is read, and may sort the whole table.
    The setting lasts until the transaction ends.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL cursor_tuple_fraction = 0.001")


def lock_table(connection: Connection, table: Table) -> None:
    """Keep other transactions from changing a table until this one ends; they can still read it.

    No effect on SQLite, where BEGIN IMMEDIATE has already locked the whole database.
    """
    if connection.dialect.name == "postgresql":
        name = connection.dialect.identifier_preparer.format_table(table)
        connection.exec_driver_sql(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")
