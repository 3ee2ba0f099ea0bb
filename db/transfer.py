"""Copy all rows from one database to another, SQLite or PostgreSQL.

All rows are copied, with their ids, in one transaction, into an empty database. Queued and running
batches become pending again, because their leases are not valid in the copy.
"""

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    JSON,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    RowMapping,
    Table,
    exists,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.exc import IntegrityError

from classifier.errors import CratesortError
from db.engine import create_engine, is_missing, parse_url, shown
from db.migrate import HEAD, current, upgrade_engine
from db.queue.batch import has_valid_paths
from db.results.sounds import sound_key
from db.states import BatchState
from db.tables import batches, compatibility, label_history, metadata, sounds

#: Rows read and written at once; in tables that contain bundles or reports, it is one.
_ROWS: Final = 1000

#: Sorted so that referenced tables come before the tables that refer to them.
_TABLES: Final = tuple(table for table in metadata.sorted_tables if table is not compatibility)

#: Column values for batches that were queued or running.
_RESET_CLAIM: Final = {
    "state": BatchState.PENDING,
    "token": None,
    "worker": None,
    "lease_expires_at": None,
    "queued_at": None,
    "started_at": None,
}


class CopyError(CratesortError):
    """The source or the target database is not suitable for a copy."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied.

    - `rows`: number of rows by table.
    - `without_root`: sounds with absolute paths. Only a process without a broker and without
      library roots can read these.
    - `waiting_without_root`: unfinished batches with absolute paths, which a fleet cannot process.
    """

    rows: dict[str, int]
    without_root: int
    waiting_without_root: int


def copy(
    source_url: str,
    target_url: str,
    *,
    roots: Mapping[str, str],
    on_progress: Callable[[str, int], None] = lambda _table, _rows: None,
) -> Copied:
    """Copy a database into an empty one.

    - `source_url`, `target_url`: as for `db.engine.create_engine`. The target is created or
      migrated where needed.
    - `roots`: folders of library roots by name. Absolute paths below such a folder become paths
      relative to that root.
    - `on_progress`: called with a table's name and the number of its rows copied so far.

    Raises CopyError: the source does not exist or has another version, the target has rows already,
    or two sounds would get the same path.
    Raises db.migrate.SchemaError: the target is newer than this version.
    Raises sqlalchemy.exc.OperationalError: a database is unreachable; nothing was copied.
    """
    if is_missing(source_url):
        raise CopyError(f"the database {shown(source_url)} does not exist")
    if parse_url(source_url) == parse_url(target_url):
        raise CopyError("the source and the target are the same database")
    source, target = create_engine(source_url), create_engine(target_url)
    try:
        # The source is not upgraded here: the user may want to keep it unchanged.
        if (revision := current(source)) != HEAD:
            raise CopyError(
                f"{shown(source_url)} is at revision {revision or 'none'}; expected {HEAD}. Run "
                "`cratesort db upgrade` with CRATESORT_DATABASE_URL set to it"
            )
        upgrade_engine(target)
        with _snapshot(source) as reader, target.begin() as writer:
            _require_empty(writer, target_url)
            return _copy(reader, writer, roots, on_progress)
    finally:
        source.dispose()
        target.dispose()


def _snapshot(source: Engine) -> Any:
    """Return a connection that reads a consistent snapshot, however long the copy takes."""
    connection = source.connect().execution_options(readonly=True)
    if source.dialect.name == "postgresql":
        connection = connection.execution_options(isolation_level="REPEATABLE READ")
    return connection


def _require_empty(writer: Connection, target_url: str) -> None:
    for table in _TABLES:
        if writer.execute(select(exists(select(table)))).scalar_one():
            raise CopyError(
                f"{shown(target_url)} already has rows (in {table.name}); copy into an empty "
                "database"
            )


def _copy(
    reader: Connection,
    writer: Connection,
    roots: Mapping[str, str],
    on_progress: Callable[[str, int], None],
) -> Copied:
    rows: dict[str, int] = {}
    without_root = waiting_without_root = 0
    for table in _TABLES:
        rows[table.name] = 0
        for chunk in _chunks(reader, table):
            written = [_translated_row(table, row, roots) for row in chunk]
            if table is sounds:
                without_root += sum(not row["root"] for row in written)
            if table is batches:
                waiting_without_root += sum(
                    not row["root"] and row["state"] != BatchState.DONE for row in written
                )
            _write(writer, table, written, roots)
            rows[table.name] += len(written)
            on_progress(table.name, rows[table.name])
        _set_sequence(writer, table)
    return Copied(rows, without_root, waiting_without_root)


def _write(
    writer: Connection, table: Table, rows: list[dict[str, Any]], roots: Mapping[str, str]
) -> None:
    try:
        writer.execute(insert(table), rows)
    except IntegrityError as error:
        if table is not sounds or not roots:
            raise
        raise CopyError(
            "with these library roots, two sounds would get the same path: one of them already has "
            "a root, the other an absolute path below its folder"
        ) from error


def _chunks(reader: Connection, table: Table) -> Iterator[list[RowMapping]]:
    holds_files = any(
        isinstance(column.type, LargeBinary) and column.type.length is None
        for column in table.columns
    )
    at_once = 1 if holds_files else _ROWS
    query = select(table).order_by(*table.primary_key.columns)
    rows = reader.execute(query, execution_options={"yield_per": at_once})
    yield from (list(part) for part in rows.mappings().partitions())


def _translated_row(table: Table, row: RowMapping, roots: Mapping[str, str]) -> dict[str, Any]:
    # Omit NULL in JSON columns: SQLAlchemy would write JSON `null` instead. In a column that is not
    # nullable, the value was JSON `null` already.
    values = {
        name: value
        for name, value in row.items()
        if value is not None
        or not isinstance(table.columns[name].type, JSON)
        or not table.columns[name].nullable
    }
    if table is batches:
        if values["state"] in (BatchState.QUEUED, BatchState.RUNNING):
            values.update(_RESET_CLAIM)
        paths: Any = values.get("paths")
        located = (
            [_beneath(values["root"], path, roots) for path in paths]
            if has_valid_paths(paths)
            else []
        )
        if len({root for root, _ in located}) == 1:  # a batch has one root
            values["root"], values["paths"] = located[0][0], [path for _, path in located]
    elif table is sounds or table is label_history:
        values["root"], values["path"] = _beneath(values["root"], values["path"], roots)
        values["key"] = sound_key(values["root"], values["path"])
    return values


def _beneath(root: str, path: str, roots: Mapping[str, str]) -> tuple[str, str]:
    if root:
        return root, path
    # The innermost folder first: one root may be inside another.
    for name, folder in sorted(roots.items(), key=lambda item: -len(item[1])):
        start = posixpath.normpath(folder).rstrip("/") + "/"
        if path.startswith(start):
            return name, path.removeprefix(start)
    return root, path


def _set_sequence(writer: Connection, table: Table) -> None:
    """Let PostgreSQL's new ids start after the largest one; SQLite does that by itself."""
    (key,) = table.primary_key.columns
    if writer.dialect.name != "postgresql" or not isinstance(key.type, Integer):
        return
    if not writer.execute(
        text("SELECT pg_get_serial_sequence(:t, :c)"), {"t": table.name, "c": key.name}
    ).scalar_one():
        return
    highest = writer.execute(select(func.max(key))).scalar_one()
    if highest is not None:
        writer.execute(
            text("SELECT setval(pg_get_serial_sequence(:t, :c), :n)"),
            {"t": table.name, "c": key.name, "n": highest},
        )
