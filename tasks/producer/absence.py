"""Whether missing files are really gone, or may be on an unavailable mount."""

import os
import stat
from array import array
from collections import defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from sqlalchemy import Engine

from classifier.files.paths import path_bytes, path_text, printable
from classifier.files.safe_open import mtime_ns
from db.engine import reading
from db.results import gone
from db.results.folders import Folder
from db.results.gone import ROWS_AT_ONCE, GoneFile, MissingSounds, NewLocation
from tasks.producer.batching import chunks
from tasks.producer.locator import Locator

#: Missing sounds below two names suggest an unavailable mount; below one name, so many sounds do.
_MANY_SOUNDS: Final = 10

_FOLDERS_REMEMBERED: Final = 1024

#: What a moved file keeps: its size in bytes and its mtime in nanoseconds.
Stamp: TypeAlias = tuple[int, int]


class Absence:
    """Checks whether files are really gone.

    A walk does not find every existing file with a row. It skips links, and files without a sound's
    extension that were once ingested by name.
    """

    def __init__(self, locator: Locator, not_walked: Set[bytes]) -> None:
        self._locator = locator
        self._not_walked = not_walked
        #: Whether a folder, or one above it, was not walked; whether a folder does not exist.
        self.is_unknown = lru_cache(_FOLDERS_REMEMBERED)(self._lies_in_unknown)
        self.is_gone = lru_cache(_FOLDERS_REMEMBERED)(_is_no_file)
        self._empty_from = lru_cache(_FOLDERS_REMEMBERED)(_nearest_if_empty)

    def of(self, file: GoneFile) -> bool:
        """Whether a file is gone; False also if that cannot be determined."""
        root = self._locator.known_root(file.root)
        if root is None:
            return False
        path = root.on_disk(file.path)
        folder = os.path.dirname(path)
        if self.is_unknown(folder):
            return False
        return self.is_gone(folder) or _is_no_file(path, or_folder=False)

    def empty_folder(self, file: GoneFile) -> bytes | None:
        """Return the nearest existing folder above a missing file, if its mount may be unavailable.

        That folder is empty, and has not changed since the file was classified: deleting its last
        file would have changed it.
        """
        root = self._locator.known_root(file.root)
        if root is None:
            return None
        empty = self._empty_from(os.path.dirname(root.on_disk(file.path)))
        if empty is None:
            return None
        visited = file.classified_at  # SQLite returns UTC without a time zone
        visited = visited.replace(tzinfo=visited.tzinfo or UTC)
        return None if empty.changed_at > visited.timestamp() else empty.path

    def may_be_away(self, file: GoneFile) -> bool:
        """Whether a missing file may be on an unavailable mount."""
        root = self._locator.known_root(file.root)
        if root is None or self.is_gone(root.folder or b"/"):
            return True
        return self._empty_from(os.path.dirname(root.on_disk(file.path))) is not None

    def is_at(self, place: NewLocation, stamp: Stamp) -> bool:
        """Whether a file of this size and mtime is there; False also if that is unknown."""
        root = self._locator.known_root(place.root)
        if root is None:
            return False
        try:
            status = os.lstat(root.on_disk(place.path))
        except OSError:
            return False
        return (status.st_size, mtime_ns(status)) == stamp

    def _lies_in_unknown(self, folder: bytes) -> bool:
        while folder not in self._not_walked:
            above = os.path.dirname(folder)
            if above == folder:
                return False
            folder = above
        return True


@dataclass(slots=True)
class _Missing:
    """Rows of a walked folder whose files were not found.

    - `ids`: rows whose files did not move, and are not below an empty folder that may be a mount.
    - `names`: names directly below the walked folder that lead to these files; at most two.
    - `moved`: how many files moved.
    - `name_is_there`: whether a folder on the way to a missing file still exists.
    """

    ids: "array[int]" = field(default_factory=lambda: array("q"))
    names: set[str] = field(default_factory=set)
    moved: int = 0
    name_is_there: bool = False

    @property
    def may_be_all(self) -> bool:
        """Whether the folder looks like an unavailable mount, if it had no other sounds."""
        is_suspicious = len(self.names) > 1 or (len(self.ids) >= _MANY_SOUNDS and not self.moved)
        return is_suspicious and not self.name_is_there


def without_away(
    database: Engine,
    newest_id: int,
    folders: Mapping[bytes, Folder],
    missing_ids: "array[int]",
    moved: Mapping[int, NewLocation],
    absence: Absence,
) -> tuple["array[int]", dict[str, MissingSounds]]:
    """Return the ids of rows whose files are gone, and counts of folders that may not be mounted.

    Two kinds of folders may not be mounted: an empty folder within a walked one that has not
    changed since its sounds were classified, and a walked folder in which none of the sounds known
    before is there. New files are no proof of the mount: they may lie in the mount point itself.
    """
    away: defaultdict[bytes, array[int]] = defaultdict(lambda: array("q"))
    missing = {path: _Missing() for path in folders}
    for ids in chunks(missing_ids, ROWS_AT_ONCE):
        with reading(database) as connection:
            files = gone.files(connection, ids)
        for file in files:
            base = next(path for path in folders if folders[path].holds(file.root, file.path))
            of_base = missing[base]
            if file.id in moved:
                of_base.moved += 1
            elif empty := absence.empty_folder(file):
                away[empty].append(file.id)
                of_base.name_is_there = True
            else:
                of_base.ids.append(file.id)
                name, is_folder, _ = file.path[len(folders[base].prefix) :].partition("/")
                if len(of_base.names) < 2:
                    of_base.names.add(name)
                if is_folder and not absence.is_gone(os.path.join(base, path_bytes(name))):
                    of_base.name_is_there = True
    gone_ids = array("q")
    with reading(database) as connection:
        for path, of_base in missing.items():
            # Checked last: the count reads the whole table.
            if of_base.may_be_all and len(of_base.ids) + of_base.moved == gone.count_up_to(
                connection, folders[path], newest_id
            ):
                away[path] = of_base.ids
            else:
                gone_ids.extend(of_base.ids)
        return gone_ids, {
            printable(path_text(path)): MissingSounds(
                len(ids),
                sum(gone.own_labels(connection, part) for part in chunks(ids, ROWS_AT_ONCE)),
            )
            for path, ids in away.items()
        }


class _EmptyFolder(NamedTuple):
    path: bytes
    #: Seconds since 1970.
    changed_at: float


def _nearest_if_empty(folder: bytes) -> _EmptyFolder | None:
    while True:
        try:
            with os.scandir(folder) as entries:
                if next(entries, None) is not None:
                    return None
            return _EmptyFolder(folder, os.stat(folder).st_mtime)
        except (FileNotFoundError, NotADirectoryError):
            folder = os.path.dirname(folder)
        except OSError:
            return None


def _is_no_file(path: bytes, *, or_folder: bool = True) -> bool:
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return not or_folder and stat.S_ISDIR(status.st_mode)
