"""Write many rows at once: insert new rows, and update existing ones.

PostgreSQL gets one array per column and unpacks them, which costs half as much as one statement per
row. (COPY into a temporary table costs the same, and needs a table in each session.) SQLite runs
inside the process and gets rows one by one, without SQLAlchemy's processing of each value.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Table,
    bindparam,
    column,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import NullType

from db.bulk import array, array_literal
from db.dialects import now

#: Maps the columns of a new row to the new values of an existing row. The expressions must not have
#: parameters: on SQLite, all parameters are the values of the row, by position.
Merge: TypeAlias = Callable[[Any], Mapping[str, ColumnElement[Any]]]


class Upsert:
    """One statement for any number of rows.

    - `key`: the unique column that identifies a row.
    - `columns`: the order of values in a row; the key is one of them.
    - `merged`: returns the new values of an existing row.
    - `clock`: a column of new rows that is set to the database's time.
    """

    def __init__(
        self, table: Table, *, key: str, columns: Sequence[str], merged: Merge, clock: str
    ) -> None:
        self._table = table
        self._key = key
        self._columns = tuple(columns)
        self._merged = merged
        self._clock = clock

    def execute(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows, in the order given.

        - `rows`: at least one; plain values (no enums). No key twice: PostgreSQL refuses to update
          a row that the same statement wrote.
        """
        if connection.dialect.name == "postgresql":
            arrays = map(array_literal, zip(*rows, strict=True))
            connection.execute(self._of_arrays, dict(zip(self._columns, arrays, strict=True)))
        else:
            connection.exec_driver_sql(self._of_a_row, list(rows))

    @functools.cached_property
    def _of_arrays(self) -> Insert:
        columns = {name: self._table.c[name] for name in self._columns}
        values = (
            func.unnest(
                *(array(bindparam(name, type_=NullType()), c.type) for name, c in columns.items())
            )
            .table_valued(*(column(name, c.type) for name, c in columns.items()), name="given")
            .render_derived()
        )
        return self._of(postgresql.insert(self._table), select(*values.c))

    @functools.cached_property
    def _of_a_row(self) -> str:
        # Without WHERE, SQLite's parser takes the ON of ON CONFLICT for a join condition.
        values: Any = select(*map(bindparam, self._columns)).where(true())
        compiled = self._of(sqlite.insert(self._table), values).compile(dialect=sqlite.dialect())
        return str(compiled)

    def _of(self, statement: Any, values: Any) -> Insert:
        statement = statement.from_select(
            [*self._columns, self._clock], values.add_columns(now(literal_column("0")))
        )
        upsert: Insert = statement.on_conflict_do_update(
            index_elements=[self._table.c[self._key]],
            set_=dict(self._merged(statement.excluded)),
        )
        return upsert
