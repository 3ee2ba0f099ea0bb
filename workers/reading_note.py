"""The note a reader keeps of the file it is reading, where others can see it when it is dead.

A file that makes libsndfile abort leaves no exception behind, only a dead process. Sixteen bytes
of shared memory, written before each file, say which file it was; a lock on the note, which the
kernel drops with the process, says whether its writer still lives (a process id would not: ids
come again).

What is not here: what is done with a suspect (`workers.inprocess`).
"""

import fcntl
import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LAYOUT: Final = struct.Struct("<qq")
_NOBODY: Final = -1


@dataclass(frozen=True, slots=True)
class Suspect:
    """The sound a dead process was reading: `index` of batch `batch_id`."""

    batch_id: int
    index: int


class ReadingNote:
    """A batch id and an index into it, in memory that outlives the process.

    Parameters
    ----------
    path : Path
        The note's file; created, with its folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        os.ftruncate(self._fd, _LAYOUT.size)
        self._memory = mmap.mmap(self._fd, _LAYOUT.size)
        self.clear()

    def write(self, batch_id: int, index: int) -> None:
        """Note that sound `index` of batch `batch_id` is being read from now on."""
        _LAYOUT.pack_into(self._memory, 0, batch_id, index)

    def clear(self) -> None:
        """Note that nothing is being read."""
        _LAYOUT.pack_into(self._memory, 0, 0, _NOBODY)

    def remove(self) -> None:
        """Delete the note; its writer ends in peace."""
        self.path.unlink(missing_ok=True)
        self._memory.close()
        os.close(self._fd)


def writer_is_dead(path: Path) -> bool:
    """Whether a note was left behind by a process that is gone."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(fd)


def suspect_of(path: Path) -> Suspect | None:
    """Return what a dead process was reading, or None when it was not reading."""
    data = path.read_bytes()
    if len(data) != _LAYOUT.size:
        return None
    batch_id, index = _LAYOUT.unpack(data)
    return None if index == _NOBODY else Suspect(batch_id, index)
