"""Rows of files that are gone: mark them, move them to a new path, or remove them.

A row of a file that is gone keeps its values, but is not listed or counted. Rows are locked in the
order of their keys, as by `db.results.sounds.save`.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    bindparam,
    case,
    delete,
    exists,
    func,
    null,
    or_,
    select,
    update,
)

from db.bulk import one_of
from db.dialects import now
from db.results import sounds as results
from db.results.folders import IS_PRESENT, Folder, is_below
from db.results.upsert import Upsert
from db.states import LabelSource
from db.tables import label_history, sounds

T = TypeVar("T")

#: Rows per statement; SQLite accepts 32,766 values in one.
ROWS_AT_ONCE: Final = 5000


class GoneFile(NamedTuple):
    """A row of a file that may be gone."""

    id: int
    root: str
    path: str
    file_size_bytes: int | None
    mtime_ns: int | None
    classified_at: datetime


class MissingSounds(NamedTuple):
    """Counts of rows below a folder in which no file is found any more.

    - `labels`: number of these sounds with a label that is not inherited (`db.results.copies`).
    """

    sounds: int
    labels: int


class NewLocation(NamedTuple):
    """The new place of a file that was moved.

    - `is_overwritten`: whether another file was there, whose label is no longer valid.
    """

    root: str
    path: str
    pack: str
    vendor: str
    is_overwritten: bool = False


_COLUMNS: Final = tuple(sounds.c[name] for name in GoneFile._fields)

#: SQL condition: a sound has no label, or only an inherited one (`db.results.copies`).
_NO_OWN_LABEL: Final = or_(
    sounds.c.label_source.is_(None), sounds.c.label_source == LabelSource.COPY
)


def count_and_id_sum(connection: Connection, folders: Sequence[Folder]) -> tuple[int, int]:
    """Return the number of present files below the folders, and the sum of their rows' ids.

    A walk that has found as many rows with the same sum has found all of them.
    """
    query = select(func.count(), func.coalesce(func.sum(sounds.c.id), 0))
    count, id_sum = connection.execute(query.where(is_below(folders))).one()
    return int(count), int(id_sum)


def missing_sounds(connection: Connection, folder: Folder) -> MissingSounds:
    """Count the sounds below a folder that are not marked as gone, and their own labels."""
    query = select(func.count(), func.count(case((~_NO_OWN_LABEL, 1))))
    return MissingSounds(*connection.execute(query.where(is_below([folder]))).one())


def count_up_to(connection: Connection, folder: Folder, newest_id: int) -> int:
    """Count the sounds below a folder with ids up to `newest_id` that are not marked as gone."""
    query = select(func.count()).where(is_below([folder]), sounds.c.id <= newest_id)
    return int(connection.execute(query).scalar_one())


def newest_id(connection: Connection) -> int:
    """Return the id of the newest row; 0 without any."""
    return int(connection.execute(select(func.coalesce(func.max(sounds.c.id), 0))).scalar_one())


def own_labels(connection: Connection, ids: Sequence[int]) -> int:
    """Count the rows with a label that is not inherited.

    - `ids`: of the rows; at most `ROWS_AT_ONCE`.
    """
    query = select(func.count()).where(one_of(connection, sounds.c.id, ids), ~_NO_OWN_LABEL)
    return int(connection.execute(query).scalar_one())


def present_keys(connection: Connection, folders: Sequence[Folder]) -> Iterator[tuple[bytes, int]]:
    """Stream key and id of each row below the folders that is not marked as gone."""
    query = select(sounds.c.key, sounds.c.id).where(is_below(folders))
    for key, sound_id in connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query):
        yield bytes(key), sound_id


def gone_keys(connection: Connection) -> list[bytes]:
    """Return the keys of the sounds whose files are gone."""
    query = select(sounds.c.key).where(sounds.c.gone_at.is_not(None))
    return list(map(bytes, connection.scalars(query)))


def files(connection: Connection, ids: Sequence[int]) -> Sequence[GoneFile]:
    """Return the files with these row ids.

    - `ids`: at most `ROWS_AT_ONCE`.
    """
    rows = connection.execute(select(*_COLUMNS).where(one_of(connection, sounds.c.id, ids)))
    return [GoneFile(*row) for row in rows]


def gone_files(connection: Connection) -> Iterator[GoneFile]:
    """Stream the files that are gone and whose time of change is known."""
    query = select(*_COLUMNS).where(sounds.c.gone_at.is_not(None), sounds.c.mtime_ns.is_not(None))
    for row in connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query):
        yield GoneFile(*row)


def labelled_files(connection: Connection) -> Iterator[GoneFile]:
    """Stream labelled files that are not marked as gone and whose time of change is known."""
    query = select(*_COLUMNS).where(
        sounds.c.label.is_not(None), sounds.c.gone_at.is_(None), sounds.c.mtime_ns.is_not(None)
    )
    for row in connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query):
        yield GoneFile(*row)


def counts_by_time(connection: Connection, times_ns: Sequence[int]) -> dict[int, int]:
    """Return the number of rows by time of change, for these times; scans the whole table."""
    time = sounds.c.mtime_ns
    query = select(time, func.count()).where(one_of(connection, time, times_ns)).group_by(time)
    return {row[0]: row[1] for row in connection.execute(query)}


def new_locations(connection: Connection) -> Iterator[tuple[tuple[int, int], NewLocation]]:
    """Stream candidates for the new places of labelled files that are gone.

    Each is a size and time of change that equal those of a gone file, and the place of a present
    file without a label of its own. Scans the whole table if any labelled file is gone.
    """
    lost = sounds.alias("lost")
    is_lost = (
        lost.c.gone_at.is_not(None),
        lost.c.label_source != LabelSource.COPY,
        lost.c.mtime_ns.is_not(None),
    )
    if connection.execute(select(lost.c.id).where(*is_lost).limit(1)).first() is None:
        return
    same_file = (
        lost.c.file_size_bytes == sounds.c.file_size_bytes,
        lost.c.mtime_ns == sounds.c.mtime_ns,
    )
    query = select(
        sounds.c.file_size_bytes,
        sounds.c.mtime_ns,
        *(sounds.c[name] for name in ("root", "path", "pack", "vendor")),
    ).where(IS_PRESENT, _NO_OWN_LABEL, exists().where(*is_lost, *same_file))
    for size, mtime, *place in connection.execute(query.execution_options(yield_per=ROWS_AT_ONCE)):
        yield (size, mtime), NewLocation(*place)


def mark(connection: Connection, ids: Sequence[int], *, gone: bool) -> int:
    """Mark files as gone, or as present again; return how many rows were changed."""
    marked = 0
    for chunk in _chunks(ids):
        there = sounds.c.gone_at.is_(None)
        locked = _locked(connection, sounds.c.id, chunk, there if gone else ~there)
        if locked:
            connection.execute(
                update(sounds)
                .where(one_of(connection, sounds.c.id, locked))
                .values(gone_at=now() if gone else null())
            )
        marked += len(locked)
    return marked


def forget(connection: Connection, keys: Sequence[bytes]) -> int:
    """Delete rows; return how many. Labels stay in the history, in case the file comes back."""
    removed = 0
    for chunk in _chunks(keys):
        locked = _locked(connection, sounds.c.key, chunk)
        if locked:
            connection.execute(delete(sounds).where(one_of(connection, sounds.c.id, locked)))
        removed += len(locked)
    return removed


def _locked(
    connection: Connection, column: ColumnElement[Any], values: Sequence[Any], *conditions: Any
) -> list[int]:
    """Return the ids of the rows with one of the values, locked until the transaction ends."""
    query = select(sounds.c.id).where(one_of(connection, column, values), *conditions)
    return list(connection.scalars(query.order_by(sounds.c.key).with_for_update()))


def _chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), ROWS_AT_ONCE):
        yield values[start : start + ROWS_AT_ONCE]


# Moving

_CARRIED: Final = (*results.RESULT_COLUMNS, "held_out")
_LABEL: Final = ("label", "label_source", "labelled_by", "labelled_at")

# A worker may write the row of the new path at the same time. The key is unique, so the second
# writer waits for the first one's commit, and then updates its row.
_CARRY: Final = Upsert(
    sounds,
    key="key",
    columns=("key", "root", "path", *_CARRIED),
    merged=lambda new: {"held_out": func.coalesce(sounds.c.held_out, new.held_out)},
    clock="classified_at",
)


def move(connection: Connection, places: Sequence[tuple[int, NewLocation]]) -> int:
    """Move the results, labels, label history and holdout of files to their new paths.

    - `places`: pairs of an old row's id and the new place; at most `ROWS_AT_ONCE`.

    If the new path has a label already, it is kept, unless it is inherited or another file was
    there before. The row of the new path has the old result until the file is classified again.

    Returns how many were moved; another process may have moved some in the meantime.
    """
    place_of = dict(places)
    query = select(sounds).where(one_of(connection, sounds.c.id, list(place_of)))
    rows = connection.execute(query.order_by(sounds.c.key).with_for_update()).all()
    if not rows:
        return 0
    carried: dict[bytes, tuple[Any, ...]] = {}
    renamed: list[dict[str, Any]] = []
    labelled: list[dict[str, Any]] = []
    for row in rows:
        place = place_of[row.id]
        key = results.sound_key(place.root, place.path)
        values = {**row._mapping, **place._asdict()}
        carried[key] = (key, place.root, place.path, *(values[name] for name in _CARRIED))
        old = {"old_key": bytes(row.key)}
        renamed.append(old | {"new_key": key, "new_root": place.root, "new_path": place.path})
        if row.label is not None:
            label = {f"its_{name}": values[name] for name in _LABEL}
            labelled.append({"at": key, "wins": place.is_overwritten, **label})
    _CARRY.execute(connection, [carried[key] for key in sorted(carried)])
    if labelled:
        connection.execute(
            update(sounds)
            .where(
                sounds.c.key == bindparam("at"),
                or_(_NO_OWN_LABEL, bindparam("wins", type_=Boolean)),
            )
            .values({name: bindparam(f"its_{name}") for name in _LABEL}),
            labelled,
        )
    history = label_history.c
    connection.execute(
        update(label_history)
        .where(history.key == bindparam("old_key"))
        .values(key=bindparam("new_key"), root=bindparam("new_root"), path=bindparam("new_path")),
        renamed,
    )
    connection.execute(delete(sounds).where(one_of(connection, sounds.c.id, [r.id for r in rows])))
    return len(rows)
