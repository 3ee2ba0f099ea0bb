"""What a walk tells of files it did not meet: they are gone, or they are at another path now.

Only of folders that were walked to their ends. A folder may be a mount point without its mount:
where none of its known sounds is there, none is taken for gone, unless all are found elsewhere.
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
from db.results.gone import ROWS_AT_ONCE, GoneFile, NewPlace, Vanished
from db.results.sounds import sound_key
from db.scratch_table import scratch_table
from tasks.producer.absence import Absence, Stamp, without_away
from tasks.producer.batching import chunks
from tasks.producer.discovery import Ignored
from tasks.producer.locator import Locator
from tasks.producer.unchanged import Compared

#: Of a key, for telling two million sounds apart in 16 MB. Where two are alike, which happens to
#: one library in ten million, a file that is gone is not noticed.
_PART_BYTES: Final = 8

#: They are compared in so many turns: a set takes ten times the memory of an array.
_SHARES: Final = 8

_CACHE_KIB: Final = 8 * 1024

#: Their new rows are locked until all of them are written, and workers wait that long.
_MOVED_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the rows of files that a walk did not meet.

    - `moved`: those that are at another path now; not among `gone`.
    - `empty`: folders that may be mounts that are away, and the sounds that the table knows there
      and that were not found elsewhere.
    """

    gone: int
    moved: int
    empty: dict[str, Vanished]


class MetFiles:
    """The files that an ingest met: in 16 bytes each, and the new ones in a temporary table.

    - `newest_id`: of the rows that were there before it.
    """

    def __init__(self, new: ScratchTable, newest_id: int) -> None:
        self.newest_id = newest_id
        self._parts = array("q")
        self._rows = 0
        self._id_sum = 0
        self._new = new

    def add(self, compared: Compared) -> None:
        """Remember what was found."""
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
        """Whether any file had no row."""
        return self._new.execute("SELECT 1 FROM scratch LIMIT 1").fetchone() is not None

    def new_files(self, stamp: Stamp) -> list[NewPlace]:
        """Return the new files of this size and time."""
        found = self._new.execute(
            "SELECT root, path, pack, vendor, is_overwritten FROM scratch "
            "WHERE size = ? AND mtime = ?",
            stamp,
        )
        return [
            NewPlace(root, path, pack, vendor, bool(over))
            for root, path, pack, vendor, over in found
        ]

    def is_time_shared(self, time_ns: int) -> bool:
        """Whether more than one new file is of this time of change."""
        query = "SELECT 1 FROM scratch WHERE mtime = ? LIMIT 2"
        return len(self._new.execute(query, (time_ns,)).fetchall()) > 1

    def missed(self, database: Engine, folders: Sequence[Folder]) -> "array[int]":
        """Return the ids of the rows below some folders whose files are there but were not met."""
        keys, ids = array("q"), array("q")
        if not folders:
            return ids
        with reading(database) as connection:
            if gone.tally(connection, folders) == (self._rows, self._id_sum):
                return ids
            for key, sound_id in gone.present_keys(connection, folders):
                keys.frombytes(key[:_PART_BYTES])
                ids.append(sound_id)
        missed = array("q")
        for share in range(_SHARES):
            met = {part for part in self._parts if part % _SHARES == share}
            missed.extend(
                sound_id
                for part, sound_id in zip(keys, ids, strict=True)
                if part % _SHARES == share and part not in met
            )
        return missed


@contextmanager
def met_files(newest_id: int) -> Iterator[MetFiles]:
    """Make the memory of what an ingest meets; raise ScratchSpaceError where there is no room.

    - `newest_id`: of the table of sounds, before it.
    """
    columns = "size INTEGER, mtime INTEGER, root TEXT, path TEXT, pack TEXT, vendor TEXT"
    columns += ", is_overwritten INTEGER"
    key = "PRIMARY KEY (mtime, size, root, path)"
    with scratch_table(f"{columns}, {key}", cache_kib=_CACHE_KIB) as new:
        yield MetFiles(new, newest_id)


def settle(database: Engine, met: MetFiles, walked: Ignored, locator: Locator) -> Settled:
    """Mark the files that are gone, and carry what is known of moved ones to their new paths.

    Where the new path was ingested before, a label is carried to it nevertheless.

    - `walked`: what the walk says of itself, at its end.
    """
    absence = Absence(locator, walked.not_walked)
    walked_to_end: dict[bytes, Folder] = {}
    emptied: dict[str, Folder] = {}
    for base, found in walked.sounds_in.items():
        for path, part in locator.parts_of(base).items():
            if found[part.root]:
                walked_to_end[path] = part
            elif not absence.is_unknown(path):
                emptied[printable(path_text(path))] = part
    empty = _vanished(database, emptied)
    emptied = {path: emptied[path] for path in empty}
    searched = list(emptied.values()) if met.has_new else []
    folders = list(walked_to_end.values())
    missed, moved = _told_apart(database, met, folders, searched, absence)
    gone_ids, away = without_away(database, met.newest_id, walked_to_end, missed, moved, absence)
    moved_count = _move(database, moved)
    gone_count = 0
    for ids in chunks(gone_ids, ROWS_AT_ONCE):
        with database.begin() as connection:
            gone_count += gone.mark(connection, ids, gone=True)
    if folders:
        earlier = _known_places(database, met, absence)
        moved_count += _move(database, earlier)
        gone_count -= sum(row_id in earlier for row_id in gone_ids)
    return Settled(gone_count, moved_count, _vanished(database, emptied) | away)


def _vanished(database: Engine, emptied: Mapping[str, Folder]) -> dict[str, Vanished]:
    """Return what is known below those of some folders without a sound where any is."""
    found = {}
    for path, folder in emptied.items():
        with reading(database) as connection:
            found[path] = gone.vanished(connection, folder)
    return {path: known for path, known in found.items() if known.sounds}


def _move(database: Engine, moved: Mapping[int, NewPlace]) -> int:
    count = 0
    for places in chunks(moved.items(), _MOVED_AT_ONCE):
        with database.begin() as connection:
            count += gone.move(connection, places)
    return count


def _known_places(database: Engine, met: MetFiles, absence: Absence) -> dict[int, NewPlace]:
    """Return where files are that are gone and have labels, among those known for longer.

    Not in the folder they were in: a file that is renamed there is new to the walk that misses the
    old one, and packs have many files of one size and time.
    """
    places: defaultdict[Stamp, list[NewPlace]] = defaultdict(list)
    left: defaultdict[Stamp, list[GoneFile]] = defaultdict(list)
    with reading(database) as connection:
        for stamp, place in gone.places_of_labelled(connection):
            if absence.is_at(place, stamp):
                places[stamp].append(place)
        for file in gone.gone_files(connection) if places else ():
            known_stamp = (file.file_size_bytes or 0, file.mtime_ns or 0)
            if known_stamp in places and absence.of(file):
                left[known_stamp].append(file)
    found: list[tuple[GoneFile, NewPlace]] = []
    for stamp, files in left.items():
        folders = set(map(_folder_of, files))
        elsewhere = [place for place in places[stamp] if _folder_of(place) not in folders]
        found += paired(files, elsewhere)
    return _without_doubtful(database, met, found)


def _folder_of(file: GoneFile | NewPlace) -> tuple[str, str]:
    return file.root, posixpath.dirname(file.path)


def _told_apart(
    database: Engine,
    met: MetFiles,
    folders: Sequence[Folder],
    emptied: Sequence[Folder],
    absence: Absence,
) -> tuple["array[int]", dict[int, NewPlace]]:
    """Return the rows whose files are gone, and the new places of those that moved.

    - `emptied`: folders without a sound: their files may have moved, but none is gone.
    """
    gone_ids = array("q")
    places: dict[Stamp, list[NewPlace]] = {}
    left: defaultdict[Stamp, list[GoneFile]] = defaultdict(list)

    def note(file: GoneFile, *, may_be_away: Callable[[GoneFile], bool] | None = None) -> None:
        if file.file_size_bytes is None or file.mtime_ns is None:
            return
        stamp = file.file_size_bytes, file.mtime_ns
        new = places.get(stamp) or met.new_files(stamp)
        # The disk is asked last: few files have the size and time of a new one.
        if new and absence.of(file) and not (may_be_away and may_be_away(file)):
            places[stamp] = new
            left[stamp].append(file)

    for ids in chunks(met.missed(database, [*folders, *emptied]), ROWS_AT_ONCE):
        with reading(database) as connection:
            files = gone.files(connection, ids)
        for file in filter(absence.of, files):
            if not any(folder.holds(file.root, file.path) for folder in emptied):
                gone_ids.append(file.id)
            note(file)
    if met.has_new:
        with reading(database) as connection:
            for file in gone.gone_files(connection):
                note(file)
            for file in _labelled_elsewhere(connection, (*folders, *emptied)):
                note(file, may_be_away=absence.may_be_away)
    pairs = chain.from_iterable(paired(files, places[stamp]) for stamp, files in left.items())
    return gone_ids, _without_doubtful(database, met, list(pairs))


def _labelled_elsewhere(connection: Connection, walked: Sequence[Folder]) -> Iterator[GoneFile]:
    """Yield labelled files outside of walked folders.

    Of a folder that was renamed, the old name may never be walked again.
    """
    for file in gone.labelled_files(connection):
        if not any(folder.holds(file.root, file.path) for folder in walked):
            yield file


def _without_doubtful(
    database: Engine, met: MetFiles, pairs: Sequence[tuple[GoneFile, NewPlace]]
) -> dict[int, NewPlace]:
    """Return the new places by the ids of the old rows, where size and time are evidence enough.

    Archives give many files one time, in whole seconds: there the name must be the same, too.
    """
    places: dict[int, NewPlace] = {}
    doubtful: list[tuple[GoneFile, NewPlace, int]] = []
    for file, place in pairs:
        time_ns = file.mtime_ns or 0
        if time_ns % 10**9 or posixpath.basename(file.path) == posixpath.basename(place.path):
            places[file.id] = place
        elif not met.is_time_shared(time_ns):
            doubtful.append((file, place, time_ns))
    for some in chunks(doubtful, ROWS_AT_ONCE):
        keys = [sound_key(place.root, place.path) for _, place, _ in some]
        with reading(database) as connection:
            known = sounds.known(connection, keys)
            counts = gone.counts_by_time(connection, [time_ns for *_, time_ns in some])
        for (file, place, time_ns), key in zip(some, keys, strict=True):
            # A worker may have written the row of the new path already.
            its_own = 1 + (key in known and known[key].mtime_ns == time_ns)
            if counts.get(time_ns, 0) <= its_own:
                places[file.id] = place
    return places


def paired(
    left: Sequence[GoneFile], new: Sequence[NewPlace]
) -> Iterator[tuple[GoneFile, NewPlace]]:
    """Yield which file is which, of files of one size and time; where it is not plain, none.

    It is where there is one on either side, or one on either side of that name.
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
