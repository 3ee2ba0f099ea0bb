"""The pack-mates of sounds: the names in their folder on disk.

Never the names in the batch: a file gets the same prediction however batches are cut, and also when
it is ingested alone. Every file with the extension of a sound counts, readable or not.
"""

import logging
import os
import posixpath
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from classifier.errors import SoundError
from classifier.files.extensions import MACOS_LEFTOVER, is_named_like_a_sound
from classifier.files.paths import path_text, printable, readable_name
from classifier.names import folder_context
from classifier.names.pack_mates import PackMates, pack_mates_of
from workers.faults import MACHINE_ERRNOS
from workers.library_roots import OpenRoot

log = logging.getLogger(__name__)

#: A batch holds files in the order of a walk: the next file is of the last few folders.
MOST_FOLDERS: Final = 256

#: A folder that changed more recently may change again with the same time: file systems record
#: times in steps of up to two seconds.
_SETTLED_NS: Final = 2_000_000_000

#: How often a folder is listed before its sounds are classified without their pack-mates.
_TRIES: Final = 3

#: Root, folder, whether folder words are used.
_Key: TypeAlias = tuple[str, str, bool]


class _State(NamedTuple):
    """What changes when a name is added to a folder or removed; the ctime even if mtime was set."""

    device: int
    inode: int
    mtime_ns: int
    ctime_ns: int


class FolderCache:
    """Lists folders, and caches the last `most` of them while they are unchanged."""

    def __init__(self, most: int = MOST_FOLDERS) -> None:
        self._most = most
        self._known: OrderedDict[_Key, tuple[_State, PackMates | None]] = OrderedDict()

    def pack_mates(
        self, root: OpenRoot, paths: Sequence[str], *, folder_words: bool
    ) -> list[PackMates | None]:
        """Return the pack-mates of each sound; `folder_words` as the setting of that name.

        None where a folder cannot be listed, or holds nothing that is named like a sound.

        Raises OSError when the machine fails (it has no memory, or too many files are open).
        """
        by_folder: dict[str, PackMates | None] = {}
        for path in paths:
            folder = posixpath.dirname(path)
            if folder not in by_folder:
                by_folder[folder] = self._of_any((root.root.name, folder, folder_words), root)
        return [by_folder[posixpath.dirname(path)] for path in paths]

    def _of_any(self, key: _Key, root: OpenRoot) -> PackMates | None:
        """Return the pack-mates of a folder, or None after the last try."""
        reason = ""
        for _ in range(_TRIES):
            try:
                return self._of(key, root)
            except OSError as error:
                if error.errno in MACHINE_ERRNOS:
                    raise
                reason = str(error.strerror)
        log.warning(
            "%s cannot be listed (%s): its sounds are classified without their pack-mates",
            printable(key[1]) or "a library root",
            reason,
        )
        return None

    def _of(self, key: _Key, root: OpenRoot) -> PackMates | None:
        try:
            fd, status = root.open_folder(key[1])
        except SoundError:
            return None
        try:
            state = _State(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
            known = self._known.get(key)
            if known is not None and known[0] == state:
                self._known.move_to_end(key)
                return known[1]
            listed_ns = time.time_ns()
            pack_mates = _listed(fd, key)
        finally:
            os.close(fd)
        if listed_ns - max(state.mtime_ns, state.ctime_ns) > _SETTLED_NS:
            self._known[key] = state, pack_mates
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return pack_mates


def _listed(fd: int, key: _Key) -> PackMates | None:
    _, folder, folder_words = key
    pack_mates = pack_mates_of(_names(fd))
    if not pack_mates.names:
        return None
    if not folder_words:
        return pack_mates
    words = folder_context.folder_words([readable_name(part) for part in folder.split("/")])
    # After the choice of names: of a million names only 64 get the words.
    names = tuple(folder_context.prefixed_name(words, name) for name in pack_mates.names)
    return pack_mates if names == pack_mates.names else pack_mates_of(names)


def _names(fd: int) -> Iterator[str]:
    with os.scandir(fd) as entries:
        for entry in entries:
            name = os.fsencode(entry.name)
            is_sound = is_named_like_a_sound(name) and not name.startswith(MACOS_LEFTOVER)
            if is_sound and not entry.is_dir(follow_symlinks=False):
                yield readable_name(path_text(name))
