"""The pack-mates of sounds: the names in their folder on disk.

The names in the batch are not used: a file gets the same prediction in every batch, and also when
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
from classifier.files.extensions import MACOS_LEFTOVER, has_audio_extension
from classifier.files.paths import path_text, printable, readable_name
from classifier.names import folder_context
from classifier.names.pack_mates import PackMates, PackMatesBuilder, pack_mates_of
from workers.faults import MACHINE_ERRNOS
from workers.library_roots import OpenRoot

log = logging.getLogger(__name__)

#: Cache size: a batch has files in the order of a walk, so the next file is in a recent folder.
MOST_FOLDERS: Final = 256

#: A folder that changed more recently may change again with the same time: file systems record
#: times in steps of up to two seconds.
_SETTLED_NS: Final = 2_000_000_000

#: In a folder with more sounds, new names rarely change the sample of `MOST_PACK_MATES`, and
#: listing it takes a hundredth of a second or more. While such a folder changes, at most a tenth of
#: the time is spent on listing it, and its pack-mates are at most a minute old.
LARGE_FOLDER: Final = 10_000
_LISTING_SHARE: Final = 0.1
_OLDEST_SECONDS: Final = 60.0

#: How often a folder is listed before its sounds are classified without their pack-mates.
_TRIES: Final = 3

#: Root, folder, whether folder words are used.
_Key: TypeAlias = tuple[str, str, bool]


class _State(NamedTuple):
    """What changes when a name is added or removed; ctime does so even if mtime was set by hand."""

    device: int
    inode: int
    mtime_ns: int
    ctime_ns: int


class _Listing(NamedTuple):
    """The result of listing a folder."""

    state: _State
    pack_mates: PackMates | None
    #: False when the folder may have changed since without changing its state.
    is_settled: bool
    #: Monotonic time until which the listing is used even if the folder has changed.
    fresh_until: float

    def is_valid(self, state: _State) -> bool:
        """Whether the listing can be used for a folder in this state."""
        if self.is_settled and self.state == state:
            return True
        is_same = (self.state.device, self.state.inode) == (state.device, state.inode)
        return is_same and time.monotonic() < self.fresh_until


class FolderCache:
    """Lists folders, and caches the last `most` of them while they are unchanged.

    A folder of more than `LARGE_FOLDER` sounds is cached for a while even if it changes.
    """

    def __init__(self, most: int = MOST_FOLDERS) -> None:
        self._most = most
        self._known: OrderedDict[_Key, _Listing] = OrderedDict()

    def pack_mates(
        self, root: OpenRoot, paths: Sequence[str], *, folder_words: bool
    ) -> list[PackMates | None]:
        """Return the pack-mates of each sound; `folder_words` as the setting of that name.

        None if the folder cannot be listed, or has no file that is named like a sound.

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
            "folder %s cannot be listed (%s): its sounds are classified without their pack-mates",
            printable(posixpath.join(key[0], key[1])),
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
            if known is not None and known.is_valid(state):
                self._known.move_to_end(key)
                return known.pack_mates
            listed_ns, began = time.time_ns(), time.monotonic()
            pack_mates, sounds = _listed(fd, key)
            ended = time.monotonic()
        finally:
            os.close(fd)
        is_large = sounds > LARGE_FOLDER
        is_settled = listed_ns - max(state.mtime_ns, state.ctime_ns) > _SETTLED_NS
        if is_large or is_settled:
            fresh_seconds = min((ended - began) / _LISTING_SHARE, _OLDEST_SECONDS)
            fresh_until = ended + fresh_seconds if is_large else ended
            self._known[key] = _Listing(state, pack_mates, is_settled, fresh_until)
            self._known.move_to_end(key)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return pack_mates


def _listed(fd: int, key: _Key) -> tuple[PackMates | None, int]:
    """Return the pack-mates of a folder, and how many sounds are in it."""
    _, folder, folder_words = key
    builder, sounds = PackMatesBuilder(), 0
    for name in _names(fd):
        builder.add(name)
        sounds += 1
    if not sounds:
        return None, 0
    pack_mates = builder.build()
    if not folder_words:
        return pack_mates, sounds
    words = folder_context.folder_words([readable_name(part) for part in folder.split("/")])
    # Prefixed after sampling: even of a million names, only 64 need the words.
    names = tuple(folder_context.prefixed_name(words, name) for name in pack_mates.names)
    return pack_mates if names == pack_mates.names else pack_mates_of(names), sounds


def _names(fd: int) -> Iterator[str]:
    with os.scandir(fd) as entries:
        for entry in entries:
            name = os.fsencode(entry.name)
            is_sound = has_audio_extension(name) and not name.startswith(MACOS_LEFTOVER)
            if is_sound and not entry.is_dir(follow_symlinks=False):
                yield readable_name(path_text(name))
