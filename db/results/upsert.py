"""Writing many rows in one statement: insert those that are new, change those that are there.

PostgreSQL is given one array a column and unpacks them itself: a statement a row costs it twice as
much. (COPY into a temporary table costs the same as this, and a table in each session.) SQLite runs
inside the process and takes rows one by one, past SQLAlchemy's handling of each value.
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

#: From the columns of a new row to what a row that is there already takes. Without parameters:
#: their places are those of the row's values.
Merge: TypeAlias = Callable[[Any], Mapping[str, ColumnElement[Any]]]


class Upsert:
    """One statement for any number of rows.

    - `key`: the unique column by which rows are told apart.
    - `columns`: in which order rows come; the key's among them.
    - `merged`: what a row that is there already takes from the new one.
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
        """Write rows, in their order.

        - `rows`: at least one; plain values (no enums), no key twice: PostgreSQL refuses to replace
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
        given = (
            func.unnest(
                *(array(bindparam(name, type_=NullType()), c.type) for name, c in columns.items())
            )
            .table_valued(*(column(name, c.type) for name, c in columns.items()), name="given")
            .render_derived()
        )
        return self._of(postgresql.insert(self._table), select(*given.c))

    @functools.cached_property
    def _of_a_row(self) -> str:
        # The condition is for SQLite's parser, which takes the ON behind it for that of a join.
        given: Any = select(*map(bindparam, self._columns)).where(true())
        compiled = self._of(sqlite.insert(self._table), given).compile(dialect=sqlite.dialect())
        return str(compiled)

    def _of(self, statement: Any, given: Any) -> Insert:
        statement = statement.from_select(
            [*self._columns, self._clock], given.add_columns(now(literal_column("0")))
        )
        found: Insert = statement.on_conflict_do_update(
            index_elements=[self._table.c[self._key]],
            set_=dict(self._merged(statement.excluded)),
        )
        return found
