"""Many values in one statement: arrays for PostgreSQL, look-ups of thousands of keys."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, Column, ColumnElement, Connection, Row, any_, cast, literal, select
from sqlalchemy.types import NullType, TypeEngine


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

    - `columns`: of types that the drivers need not convert.
    - `key`: of the same table.
    - `keys`: not empty, and no more than one statement takes.
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
