"""Whether files are really not there, or their folder may be a mount that is away."""

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
from db.results.gone import ROWS_AT_ONCE, GoneFile, NewPlace, Vanished
from tasks.producer.batching import chunks
from tasks.producer.locator import Locator

#: A folder with so many sounds below one name may be a mount that is away, as one with two names.
_MANY_SOUNDS: Final = 10

_FOLDERS_REMEMBERED: Final = 1024

#: What a moved file keeps: its size and its time of change.
Stamp: TypeAlias = tuple[int, int]


class Absence:
    """Looks whether files are really not there.

    A walk leaves out more than it says: a link, or a file with another extension that was once
    named by itself. Those are there.
    """

    def __init__(self, locator: Locator, not_walked: Set[bytes]) -> None:
        self._locator = locator
        self._not_walked = not_walked
        #: Whether a folder was not walked; whether it is gone, and all of its files with it.
        self.is_unknown = lru_cache(_FOLDERS_REMEMBERED)(self._lies_in_unknown)
        self.is_gone = lru_cache(_FOLDERS_REMEMBERED)(_is_no_file)
        self._empty_from = lru_cache(_FOLDERS_REMEMBERED)(_nearest_if_empty)

    def of(self, file: GoneFile) -> bool:
        """Whether a file is gone; False, too, where that cannot be told."""
        root = self._locator.known_root(file.root)
        if root is None:
            return False
        path = root.on_disk(file.path)
        folder = os.path.dirname(path)
        if self.is_unknown(folder):
            return False
        return self.is_gone(folder) or _is_no_file(path, or_folder=False)

    def empty_folder(self, file: GoneFile) -> bytes | None:
        """Return the nearest folder above a file that is gone, if it may be a mount that is away.

        It is then empty, and has not changed since the file was visited: whoever deletes the last
        file of a folder changes it.
        """
        root = self._locator.known_root(file.root)
        if root is None:
            return None
        empty = self._empty_from(os.path.dirname(root.on_disk(file.path)))
        if empty is None:
            return None
        visited = file.classified_at  # SQLite gives UTC without saying so
        visited = visited.replace(tzinfo=visited.tzinfo or UTC)
        return None if empty.changed_at > visited.timestamp() else empty.path

    def may_be_away(self, file: GoneFile) -> bool:
        """Whether a file that is not there may be on a mount that is away."""
        root = self._locator.known_root(file.root)
        if root is None or self.is_gone(root.folder or b"/"):
            return True
        return self._empty_from(os.path.dirname(root.on_disk(file.path))) is not None

    def is_at(self, place: NewPlace, stamp: Stamp) -> bool:
        """Whether there is a file of this size and time; False where that cannot be told."""
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
class _Missed:
    """Rows of a walked folder that were not met.

    - `ids`: of those that did not move.
    - `names`: directly below the folder, two at most.
    """

    ids: "array[int]" = field(default_factory=lambda: array("q"))
    names: set[str] = field(default_factory=set)
    moved: int = 0
    name_is_there: bool = False

    @property
    def may_be_all(self) -> bool:
        """Whether the folder looks like a mount that is away, if it had no other sounds."""
        is_much = len(self.names) > 1 or (len(self.ids) >= _MANY_SOUNDS and not self.moved)
        return is_much and not self.name_is_there


def without_away(
    database: Engine,
    newest_id: int,
    folders: Mapping[bytes, Folder],
    missed_ids: "array[int]",
    moved: Mapping[int, NewPlace],
    absence: Absence,
) -> tuple["array[int]", dict[str, Vanished]]:
    """Return the rows whose files are gone, and what is known in folders that may be mounts away.

    These are folders within walked ones that are empty and were not emptied since, and walked
    folders in which nothing is there of what was known before: a file that was written into a mount
    point is no mount.
    """
    away: defaultdict[bytes, array[int]] = defaultdict(lambda: array("q"))
    missed = {path: _Missed() for path in folders}
    for ids in chunks(missed_ids, ROWS_AT_ONCE):
        with reading(database) as connection:
            files = gone.files(connection, ids)
        for file in files:
            base = next(path for path in folders if folders[path].holds(file.root, file.path))
            of_base = missed[base]
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
        for path, of_base in missed.items():
            # The count reads the whole table.
            if of_base.may_be_all and len(of_base.ids) + of_base.moved == gone.known_before(
                connection, folders[path], newest_id
            ):
                away[path] = of_base.ids
            else:
                gone_ids.extend(of_base.ids)
        return gone_ids, {
            printable(path_text(path)): Vanished(
                len(ids),
                sum(gone.own_labels(connection, some) for some in chunks(ids, ROWS_AT_ONCE)),
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
