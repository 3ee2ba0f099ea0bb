"""The pack-mates of sounds: the names of their folder, as it is on disk.

Of the folder and never of the batch, so that a file gets the same answer however batches fall, and
also when it is ingested alone. Names count and nothing else: what a walk would take for a sound by
its extension is a mate, whether it can be read or not.
"""

import os
import posixpath
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from classifier.errors import SoundError
from classifier.files.extensions import MACOS_LEFTOVER, is_named_like_a_sound
from classifier.files.paths import path_text, readable_name
from classifier.files.safe_open import open_folder_beneath
from classifier.names.folder_context import folder_words as spoken_words
from classifier.names.folder_context import spoken_with
from classifier.names.pack_mates import PackMates, pack_mates_of
from workers.faults import Fault
from workers.settings import ABSOLUTE_ROOT

#: A batch holds files in the order of a walk: the next file is of the last few folders.
MOST_FOLDERS: Final = 256

#: A folder that changed less long ago may change again without its time showing it: file systems
#: count in steps of up to two seconds.
_SETTLED_NS: Final = 2_000_000_000

#: Root, folder, whether its words are spoken.
_Key: TypeAlias = tuple[str, str, bool]


class _State(NamedTuple):
    """What changes when a name comes to a folder or goes.

    The ctime also where a program that unpacks has set the mtime.
    """

    device: int
    inode: int
    mtime_ns: int
    ctime_ns: int


class Folders:
    """Lists folders, and remembers the last ones while they stay as they are. One per process.

    Parameters
    ----------
    most : int
        Folders remembered.
    """

    def __init__(self, most: int = MOST_FOLDERS) -> None:
        self._most = most
        self._known: OrderedDict[_Key, tuple[_State, PackMates | None]] = OrderedDict()

    def pack_mates(
        self, root: str, root_fd: int, paths: Sequence[str], *, folder_words: bool
    ) -> list[PackMates | None]:
        """Return the pack-mates of sounds of one root.

        Parameters
        ----------
        root : str
            Its name.
        root_fd : int
            From `classifier.files.safe_open.open_root`.
        paths : sequence of str
            As the ledger has them.
        folder_words : bool
            Whether names that say nothing are read with their folders' words, like the sound's.

        Returns
        -------
        list of (PackMates or None)
            One per path; None when its folder cannot be listed, or holds nothing that is named
            like a sound.

        Raises
        ------
        OSError
            Storage or the machine fails. A prediction without the pack-mates would differ from that
            of the next try.
        """
        found: dict[str, PackMates | None] = {}
        for path in paths:
            folder = posixpath.dirname(path)
            if folder not in found:
                found[folder] = self._of((root, folder, folder_words), root_fd)
        return [found[posixpath.dirname(path)] for path in paths]

    def _of(self, key: _Key, root_fd: int) -> PackMates | None:
        root, folder, _ = key
        absolute = root == ABSOLUTE_ROOT
        try:
            fd, status = open_folder_beneath(
                root_fd,
                folder.removeprefix("/") if absolute else folder,
                follow_links=not absolute,
            )
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
        except OSError as error:
            if Fault.of(error) is Fault.TRANSIENT:
                raise
            return None
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
    words = spoken_words([readable_name(part) for part in folder.split("/")])
    # Chosen first: a folder of a million names then costs the words of 64.
    spoken = tuple(spoken_with(words, name) for name in pack_mates.names)
    return pack_mates if spoken == pack_mates.names else pack_mates_of(spoken)


def _names(fd: int) -> Iterator[str]:
    with os.scandir(fd) as entries:
        for entry in entries:
            name = os.fsencode(entry.name)
            is_sound = is_named_like_a_sound(name) and not name.startswith(MACOS_LEFTOVER)
            if is_sound and not entry.is_dir(follow_symlinks=False):
                yield readable_name(path_text(name))
