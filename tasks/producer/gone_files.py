"""Detecting files of earlier ingests that are gone, or are at another path now.

Only folders that were walked completely are checked. A folder may be a mount point without its
mount: if none of its known sounds is there, none is marked as gone. Sounds that are found elsewhere
count as moved.
"""

import posixpath
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from sqlite3 import Connection as ScratchTable
from typing import Final

from sqlalchemy import Connection, Engine

from classifier.files.paths import path_text, printable
from db.engine import reading
from db.results import gone, sounds
from db.results.folders import Folder
from db.results.gone import ROWS_AT_ONCE, GoneFile, MissingSounds, NewLocation
from db.results.sounds import sound_key
from db.scratch_table import scratch_table
from tasks.producer.absence import Absence, Stamp, without_away
from tasks.producer.batching import chunks
from tasks.producer.discovery import Ignored
from tasks.producer.locator import Locator
from tasks.producer.unchanged import Compared

#: Bytes kept of each key: two million sounds take 16 MB. In one library in ten million two keys
#: share these bytes; then a file that is gone may not be noticed.
_PART_BYTES: Final = 8

#: Keys are compared in this many passes: a set takes ten times the memory of an array.
_SHARES: Final = 8

_CACHE_KIB: Final = 8 * 1024

#: Moved files per transaction: their new rows are locked until it ends, and workers wait for them.
_MOVED_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What happened to the rows of files that a walk did not find.

    - `moved`: how many files are at another path now; not counted in `gone`.
    - `empty`: folders that may be unavailable mounts, with counts of their known sounds that were
      not found elsewhere.
    """

    gone: int
    moved: int
    empty: dict[str, MissingSounds]


class FoundFiles:
    """The files that an ingest found: 8 bytes each, and the new ones also in a temporary table.

    - `newest_id`: the newest row's id before the ingest.
    """

    def __init__(self, new: ScratchTable, newest_id: int) -> None:
        self.newest_id = newest_id
        self._parts = array("q")
        self._rows = 0
        self._id_sum = 0
        self._new = new

    def add(self, compared: Compared) -> None:
        """Record a portion of the files found."""
        self._parts.frombytes(b"".join(key[:_PART_BYTES] for key in compared.keys))
        self._rows += len(compared.row_ids)
        self._id_sum += sum(compared.row_ids)
        self._new.executemany(
            "INSERT OR IGNORE INTO scratch VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (file.file_size_bytes, file.mtime_ns, *file[:4], is_overwritten)
                for is_overwritten, files in enumerate((compared.new, compared.overwritten))
                for file in files
                if file.mtime_ns is not None
            ),
        )

    @property
    def has_new(self) -> bool:
        """Whether any file may have been moved to its path."""
        return self._new.execute("SELECT 1 FROM scratch LIMIT 1").fetchone() is not None

    def new_files(self, stamp: Stamp) -> list[NewLocation]:
        """Return the new files of this size and mtime."""
        rows = self._new.execute(
            "SELECT root, path, pack, vendor, is_overwritten FROM scratch "
            "WHERE size = ? AND mtime = ?",
            stamp,
        )
        return [
            NewLocation(root, path, pack, vendor, bool(over))
            for root, path, pack, vendor, over in rows
        ]

    def is_time_shared(self, time_ns: int) -> bool:
        """Whether more than one new file has this mtime."""
        query = "SELECT 1 FROM scratch WHERE mtime = ? LIMIT 2"
        return len(self._new.execute(query, (time_ns,)).fetchall()) > 1

    def missing_ids(self, database: Engine, folders: Sequence[Folder]) -> "array[int]":
        """Return the ids of rows below these folders, not marked as gone, that were not found."""
        keys, ids = array("q"), array("q")
        if not folders:
            return ids
        with reading(database) as connection:
            if gone.count_and_id_sum(connection, folders) == (self._rows, self._id_sum):
                return ids
            for key, sound_id in gone.present_keys(connection, folders):
                keys.frombytes(key[:_PART_BYTES])
                ids.append(sound_id)
        missing_ids = array("q")
        for share in range(_SHARES):
            keys_found = {part for part in self._parts if part % _SHARES == share}
            missing_ids.extend(
                sound_id
                for part, sound_id in zip(keys, ids, strict=True)
                if part % _SHARES == share and part not in keys_found
            )
        return missing_ids


@contextmanager
def found_files(newest_id: int) -> Iterator[FoundFiles]:
    """Yield an empty `FoundFiles`; raise ScratchSpaceError if there is no room for its table.

    - `newest_id`: the newest row's id before the ingest.
    """
    columns = "size INTEGER, mtime INTEGER, root TEXT, path TEXT, pack TEXT, vendor TEXT"
    columns += ", is_overwritten INTEGER"
    key = "PRIMARY KEY (mtime, size, root, path)"
    with scratch_table(f"{columns}, {key}", cache_kib=_CACHE_KIB) as new:
        yield FoundFiles(new, newest_id)


def reconcile(database: Engine, found: FoundFiles, walked: Ignored, locator: Locator) -> Reconciled:
    """Mark the files that are gone, and transfer the rows of moved files to their new paths.

    If the new path was ingested before, labels are still transferred to its row.

    - `walked`: the result of the completed walk.
    """
    absence = Absence(locator, walked.not_walked)
    walked_to_end: dict[bytes, Folder] = {}
    emptied: dict[str, Folder] = {}
    for base, counts in walked.sounds_in.items():
        for path, part in locator.parts_of(base).items():
            if counts[part.root]:
                walked_to_end[path] = part
            elif not absence.is_unknown(path):
                emptied[printable(path_text(path))] = part
    empty = _vanished(database, emptied)
    emptied = {path: emptied[path] for path in empty}
    searched = list(emptied.values()) if found.has_new else []
    folders = list(walked_to_end.values())
    missing_ids, moved = _gone_and_moved(database, found, folders, searched, absence)
    gone_ids, away = without_away(
        database, found.newest_id, walked_to_end, missing_ids, moved, absence
    )
    moved_count = _move(database, moved)
    gone_count = 0
    for ids in chunks(gone_ids, ROWS_AT_ONCE):
        with database.begin() as connection:
            gone_count += gone.mark(connection, ids, gone=True)
    if folders:
        earlier = _known_places(database, found, absence)
        moved_count += _move(database, earlier)
        gone_count -= sum(row_id in earlier for row_id in gone_ids)
    return Reconciled(gone_count, moved_count, _vanished(database, emptied) | away)


def _vanished(database: Engine, emptied: Mapping[str, Folder]) -> dict[str, MissingSounds]:
    """Return the counts of known sounds below each folder; folders without any are left out."""
    vanished = {}
    for path, folder in emptied.items():
        with reading(database) as connection:
            vanished[path] = gone.missing_sounds(connection, folder)
    return {path: known for path, known in vanished.items() if known.sounds}


def _move(database: Engine, moved: Mapping[int, NewLocation]) -> int:
    count = 0
    for places in chunks(moved.items(), _MOVED_AT_ONCE):
        with database.begin() as connection:
            count += gone.move(connection, places)
    return count


def _known_places(database: Engine, found: FoundFiles, absence: Absence) -> dict[int, NewLocation]:
    """Return the new places of labelled files that are gone, among files that already have rows.

    Places in the same folder are excluded: a file renamed within its folder is new to the walk that
    misses its old name, and packs have many files of the same size and mtime.
    """
    places: defaultdict[Stamp, list[NewLocation]] = defaultdict(list)
    left: defaultdict[Stamp, list[GoneFile]] = defaultdict(list)
    with reading(database) as connection:
        for stamp, place in gone.new_locations(connection):
            if absence.is_at(place, stamp):
                places[stamp].append(place)
        for file in gone.gone_files(connection) if places else ():
            known_stamp = (file.file_size_bytes or 0, file.mtime_ns or 0)
            if known_stamp in places and absence.of(file):
                left[known_stamp].append(file)
    pairs: list[tuple[GoneFile, NewLocation]] = []
    for stamp, files in left.items():
        folders = set(map(_folder_of, files))
        elsewhere = [place for place in places[stamp] if _folder_of(place) not in folders]
        pairs += paired(files, elsewhere)
    return _without_doubtful(database, found, pairs)


def _folder_of(file: GoneFile | NewLocation) -> tuple[str, str]:
    return file.root, posixpath.dirname(file.path)


def _gone_and_moved(
    database: Engine,
    found: FoundFiles,
    folders: Sequence[Folder],
    emptied: Sequence[Folder],
    absence: Absence,
) -> tuple["array[int]", dict[int, NewLocation]]:
    """Return the ids of rows whose files are gone, and the new places of files that moved.

    - `emptied`: folders without any sound: their files may have moved, but none counts as gone.
    """
    gone_ids = array("q")
    places: dict[Stamp, list[NewLocation]] = {}
    left: defaultdict[Stamp, list[GoneFile]] = defaultdict(list)

    def collect(file: GoneFile, *, may_be_away: Callable[[GoneFile], bool] | None = None) -> None:
        if file.file_size_bytes is None or file.mtime_ns is None:
            return
        stamp = file.file_size_bytes, file.mtime_ns
        new = places.get(stamp) or found.new_files(stamp)
        # The disk is checked last: few files have the size and mtime of a new one.
        if new and absence.of(file) and not (may_be_away and may_be_away(file)):
            places[stamp] = new
            left[stamp].append(file)

    for ids in chunks(found.missing_ids(database, [*folders, *emptied]), ROWS_AT_ONCE):
        with reading(database) as connection:
            files = gone.files(connection, ids)
        for file in filter(absence.of, files):
            if not any(folder.holds(file.root, file.path) for folder in emptied):
                gone_ids.append(file.id)
            collect(file)
    if found.has_new:
        with reading(database) as connection:
            for file in gone.gone_files(connection):
                collect(file)
            for file in _labelled_elsewhere(connection, (*folders, *emptied)):
                collect(file, may_be_away=absence.may_be_away)
    pairs = chain.from_iterable(paired(files, places[stamp]) for stamp, files in left.items())
    return gone_ids, _without_doubtful(database, found, list(pairs))


def _labelled_elsewhere(connection: Connection, walked: Sequence[Folder]) -> Iterator[GoneFile]:
    """Yield labelled files outside of walked folders.

    After a folder was renamed, its old name may never be walked again.
    """
    for file in gone.labelled_files(connection):
        if not any(folder.holds(file.root, file.path) for folder in walked):
            yield file


def _without_doubtful(
    database: Engine, found: FoundFiles, pairs: Sequence[tuple[GoneFile, NewLocation]]
) -> dict[int, NewLocation]:
    """Return the new places by old row id, for pairs whose size and mtime are evidence enough.

    Archives give many files the same mtime, in whole seconds. With such an mtime the names must be
    equal, too, unless no other file has that mtime.
    """
    places: dict[int, NewLocation] = {}
    doubtful: list[tuple[GoneFile, NewLocation, int]] = []
    for file, place in pairs:
        time_ns = file.mtime_ns or 0
        if time_ns % 10**9 or posixpath.basename(file.path) == posixpath.basename(place.path):
            places[file.id] = place
        elif not found.is_time_shared(time_ns):
            doubtful.append((file, place, time_ns))
    for portion in chunks(doubtful, ROWS_AT_ONCE):
        keys = [sound_key(place.root, place.path) for _, place, _ in portion]
        with reading(database) as connection:
            known = sounds.find_known(connection, keys)
            counts = gone.counts_by_time(connection, [time_ns for *_, time_ns in portion])
        for (file, place, time_ns), key in zip(portion, keys, strict=True):
            # A worker may have written the row of the new path already.
            own_count = 1 + (key in known and known[key].mtime_ns == time_ns)
            if counts.get(time_ns, 0) <= own_count:
                places[file.id] = place
    return places


def paired(
    left: Sequence[GoneFile], new: Sequence[NewLocation]
) -> Iterator[tuple[GoneFile, NewLocation]]:
    """Yield pairs of old and new files, all of the same size and mtime, without ambiguous ones.

    A pair is unambiguous if each side has only one file, or only one file of that name.
    """
    if len(left) == len(new) == 1:
        yield left[0], new[0]
        return
    names = [Counter(posixpath.basename(file.path) for file in side) for side in (left, new)]
    by_name = {posixpath.basename(place.path): place for place in new}
    for file in left:
        name = posixpath.basename(file.path)
        if names[0][name] == names[1][name] == 1:
            yield file, by_name[name]
