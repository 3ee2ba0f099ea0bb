"""The sounds of one ingest: at and below paths, and in a list of files."""

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import BinaryIO, Final

from classifier.files.paths import path_text
from classifier.tables.strict_csv import BadLine
from db.results.sounds import sound_key
from db.scratch_table import scratch_table
from tasks.producer.discovery import Ignored, find
from tasks.producer.file_lists import ListedFile, listed_sound, read_file_list
from tasks.producer.locator import (
    FoundSound,
    Locator,
    OutsideRootsError,
    real_path,
    target_of,
)

#: How many bad lines are kept; the others are counted.
_BAD_LINES_KEPT: Final = 10

#: Cache size: lists that are not sorted alternate between a few folders.
_FOLDERS_REMEMBERED: Final = 64

_PATHS_SHOWN: Final = 3

#: Memory for the keys of the sounds that were found.
_CACHE_KIB: Final = 8 * 1024


class FileSource:
    """Iterates over the sounds at and below paths, then over those in a list; each sound once.

    - `paths`: files and folders.
    - `file_list`: stream for `file_lists.read_file_list`; must stay open during the iteration.
    - `list_name`: the list's name as the user gave it.
    - `exclude`: patterns of files and folders that a walk skips (`tasks.producer.exclusion`).

    - `description`: short text for `status`.
    - `ignored`: the files and folders skipped so far.
    - `bad_lines`: the first invalid entries of the list; `bad_line_count` counts all of them.

    Raises tasks.producer.locator.OutsideRootsError: a path is in no library root.
    Raises classifier.tables.strict_csv.TableError: the list is a table of another kind.
    """

    def __init__(
        self,
        paths: Sequence[str | bytes],
        locator: Locator,
        file_list: BinaryIO | None = None,
        list_name: str = "",
        exclude: Sequence[str] = (),
    ) -> None:
        for path in paths:
            locator.library_root(target_of(os.fsencode(path)))
        self._paths = paths
        self._exclude = exclude
        self.locator = locator
        self._entries = None if file_list is None else read_file_list(file_list)
        shown = [path_text(path) for path in paths[:_PATHS_SHOWN]]
        if file_list is not None:
            shown.append(path_text(f"manifest {list_name}"))
        self.description = ", ".join(shown)
        self.ignored = Ignored()
        self.bad_lines: list[BadLine] = []
        self.bad_line_count = 0

    def __iter__(self) -> Iterator[FoundSound]:
        """Find the sounds; possible only once.

        Raises db.scratch_table.ScratchSpaceError: no space for the temporary table of found sounds.
        """
        walked = find(self._paths, self.locator, self.ignored, self._exclude)
        if self._entries is None:
            yield from walked
            return
        with scratch_table("key BLOB PRIMARY KEY", cache_kib=_CACHE_KIB) as seen:
            for sound in chain(walked, self._listed(self._entries)):
                key = sound_key(sound.root, sound.path)
                if seen.execute("INSERT OR IGNORE INTO scratch VALUES (?)", (key,)).rowcount:
                    yield sound

    def _listed(self, entries: Iterator[ListedFile | BadLine]) -> Iterator[FoundSound]:
        # Files of a folder are mostly adjacent in a list; resolving it takes a call a level.
        real_folder = lru_cache(_FOLDERS_REMEMBERED)(real_path)
        for entry in entries:
            sound: FoundSound | BadLine
            try:
                sound = (
                    entry
                    if isinstance(entry, BadLine)
                    else listed_sound(entry, self.locator, real_folder)
                )
            except OutsideRootsError as error:
                sound = BadLine(entry.line, str(error))
            if isinstance(sound, FoundSound):
                yield sound
                continue
            self.bad_line_count += 1
            if len(self.bad_lines) < _BAD_LINES_KEPT:
                self.bad_lines.append(sound)
