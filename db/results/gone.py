"""Rows of files that are gone: marking them, moving what is known to a new path, forgetting them.

A row of a file that is gone keeps all that was known of it, out of lists and counts. Rows are
locked in the order of their keys, as `db.results.sounds.save` does.
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

#: Rows a statement; SQLite takes 32,766 values in one.
ROWS_AT_ONCE: Final = 5000


class GoneFile(NamedTuple):
    """What is known of a file that may be gone."""

    id: int
    root: str
    path: str
    file_size_bytes: int | None
    mtime_ns: int | None
    classified_at: datetime


class Vanished(NamedTuple):
    """What is known below a folder in which nothing is found any more.

    - `labels`: how many of the `sounds` were given one themselves.
    """

    sounds: int
    labels: int


class NewPlace(NamedTuple):
    """Where a file is that was at another path.

    - `is_overwritten`: whether another file was there, whose label is no longer that of the path.
    """

    root: str
    path: str
    pack: str
    vendor: str
    is_overwritten: bool = False


_COLUMNS: Final = tuple(sounds.c[name] for name in GoneFile._fields)

#: That a sound has no label but that of a sound it is a copy of.
_NO_OWN_LABEL: Final = or_(
    sounds.c.label_source.is_(None), sounds.c.label_source == LabelSource.COPY
)


def tally(connection: Connection, folders: Sequence[Folder]) -> tuple[int, int]:
    """Return how many rows below the folders are of files that are there, and the sum of their ids.

    Who met as many rows with the same sum met all of them.
    """
    query = select(func.count(), func.coalesce(func.sum(sounds.c.id), 0))
    count, id_sum = connection.execute(query.where(is_below(folders))).one()
    return int(count), int(id_sum)


def vanished(connection: Connection, folder: Folder) -> Vanished:
    """Return how many rows below a folder are of files that are there, as far as is known."""
    query = select(func.count(), func.count(case((~_NO_OWN_LABEL, 1))))
    return Vanished(*connection.execute(query.where(is_below([folder]))).one())


def known_before(connection: Connection, folder: Folder, newest_id: int) -> int:
    """Return how many rows below a folder, up to an id, are of files that are there."""
    query = select(func.count()).where(is_below([folder]), sounds.c.id <= newest_id)
    return int(connection.execute(query).scalar_one())


def newest_id(connection: Connection) -> int:
    """Return the id of the newest row; 0 without any."""
    return int(connection.execute(select(func.coalesce(func.max(sounds.c.id), 0))).scalar_one())


def own_labels(connection: Connection, ids: Sequence[int]) -> int:
    """Return how many of some rows were given a label themselves; at most `ROWS_AT_ONCE`."""
    query = select(func.count()).where(one_of(connection, sounds.c.id, ids), ~_NO_OWN_LABEL)
    return int(connection.execute(query).scalar_one())


def present_keys(connection: Connection, folders: Sequence[Folder]) -> Iterator[tuple[bytes, int]]:
    """Stream key and id of each row below the folders whose file is there."""
    query = select(sounds.c.key, sounds.c.id).where(is_below(folders))
    for key, sound_id in connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query):
        yield bytes(key), sound_id


def gone_keys(connection: Connection) -> list[bytes]:
    """Return the keys of the sounds whose files are gone."""
    query = select(sounds.c.key).where(sounds.c.gone_at.is_not(None))
    return list(map(bytes, connection.scalars(query)))


def files(connection: Connection, ids: Sequence[int]) -> Sequence[GoneFile]:
    """Return what is known of the files of some rows.

    - `ids`: at most `ROWS_AT_ONCE`.
    """
    rows = connection.execute(select(*_COLUMNS).where(one_of(connection, sounds.c.id, ids)))
    return [GoneFile(*row) for row in rows]


def gone_files(connection: Connection) -> Iterator[GoneFile]:
    """Stream the files that are gone and whose size and time are known."""
    query = select(*_COLUMNS).where(sounds.c.gone_at.is_not(None), sounds.c.mtime_ns.is_not(None))
    for row in connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query):
        yield GoneFile(*row)


def labelled_files(connection: Connection) -> Iterator[GoneFile]:
    """Stream the files with labels that are there, as far as is known."""
    query = select(*_COLUMNS).where(
        sounds.c.label.is_not(None), sounds.c.gone_at.is_(None), sounds.c.mtime_ns.is_not(None)
    )
    for row in connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query):
        yield GoneFile(*row)


def counts_by_time(connection: Connection, times_ns: Sequence[int]) -> dict[int, int]:
    """Return how many rows have each of some times of change; reads all rows."""
    time = sounds.c.mtime_ns
    query = select(time, func.count()).where(one_of(connection, time, times_ns)).group_by(time)
    return {row[0]: row[1] for row in connection.execute(query)}


def places_of_labelled(connection: Connection) -> Iterator[tuple[tuple[int, int], NewPlace]]:
    """Stream where a labelled file that is gone may be: its size and time, and the place.

    These are rows of files that are there, without a label of their own. Reads all rows where any
    labelled file is gone.
    """
    lost = sounds.alias("lost")
    is_lost = (
        lost.c.gone_at.is_not(None),
        lost.c.label_source != LabelSource.COPY,
        lost.c.mtime_ns.is_not(None),
    )
    if connection.execute(select(lost.c.id).where(*is_lost).limit(1)).first() is None:
        return
    same = (
        lost.c.file_size_bytes == sounds.c.file_size_bytes,
        lost.c.mtime_ns == sounds.c.mtime_ns,
    )
    query = select(
        sounds.c.file_size_bytes,
        sounds.c.mtime_ns,
        *(sounds.c[name] for name in ("root", "path", "pack", "vendor")),
    ).where(IS_PRESENT, _NO_OWN_LABEL, exists().where(*is_lost, *same))
    for size, mtime, *place in connection.execute(query.execution_options(yield_per=ROWS_AT_ONCE)):
        yield (size, mtime), NewPlace(*place)


def mark(connection: Connection, ids: Sequence[int], *, gone: bool) -> int:
    """Mark files as gone, or as there again; return how many were not marked so already."""
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
    """Remove rows; return how many. Labels stay in the history, for a file that comes back."""
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

# A worker may write the row of the new path at the same time. Whichever comes second waits for the
# other's commit, for the key is unique: either this finds that row, or the worker this one.
_CARRY: Final = Upsert(
    sounds,
    key="key",
    columns=("key", "root", "path", *_CARRIED),
    merged=lambda new: {"held_out": func.coalesce(sounds.c.held_out, new.held_out)},
    clock="classified_at",
)


def move(connection: Connection, places: Sequence[tuple[int, NewPlace]]) -> int:
    """Give files that moved their labels, history and holdout at their new paths.

    - `places`: the new place by the id of the old row; at most `ROWS_AT_ONCE`.

    A label that the new path has of its own stays, unless another file was there; one that only
    follows another does not.

    Until the file is classified at its new path, the row there says what the old one said. Returns
    how many were moved: another process may have moved some in the meantime.
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
        known = {**row._mapping, **place._asdict()}
        carried[key] = (key, place.root, place.path, *(known[name] for name in _CARRIED))
        old = {"old_key": bytes(row.key)}
        renamed.append(old | {"new_key": key, "new_root": place.root, "new_path": place.path})
        if row.label is not None:
            label = {f"its_{name}": known[name] for name in _LABEL}
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
