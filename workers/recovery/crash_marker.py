"""The note a reader keeps of the file it is reading, where others can see it when it is dead.

A file that makes libsndfile abort leaves no exception behind, only a dead process. A few bytes of
shared memory, written before each file, say which file it was and until when its batch was allowed
to take; a lock on the note, which the kernel drops with the process, says whether its writer still
lives (a process id would not: ids come again).
"""

import contextlib
import fcntl
import math
import mmap
import os
import re
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Batch id, index into it, end of the batch's time (seconds of CLOCK_MONOTONIC), parent process.
_LAYOUT: Final = struct.Struct("<qqdq")
_READING: Final = struct.Struct("<qq")
_NOTHING: Final = -1
#: ``host-pid-nonce.note``; whatever else lies in the folder is nobody's note.
_NAME: Final = re.compile(r"(.+)-(\d+)-(\w+)\.note", re.ASCII)


@dataclass(frozen=True, slots=True)
class MarkerContent:
    """What a reader last noted.

    Attributes
    ----------
    worker : str
        The name under which it claims batches.
    batch_id : int or None
        The batch in hand; None between two batches.
    index : int or None
        The sound of it that was being read; None while none was.
    deadline : float
        When its time ends or ended, in seconds of this machine's monotonic clock.
    """

    worker: str
    batch_id: int | None
    index: int | None
    deadline: float
    parent_pid: int

    @property
    def pid(self) -> int:
        """The writer's process id, as long as its note is locked."""
        return int(self.worker.split(":")[-2])

    def overdue_seconds(self) -> float:
        """Return for how long its batch's time has been over; negative while it is not."""
        return time.monotonic() - self.deadline


class CrashMarker:
    """What one process is reading, in memory that outlives it.

    Parameters
    ----------
    folder : Path
        Where notes lie; created.
    worker : str
        ``host:pid:nonce``, the name under which the process claims batches.

    Raises
    ------
    OSError
        The folder cannot be written.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / (worker.replace(":", "-") + ".note")
        # Now: once the parent is gone, somebody else's id would come.
        self._parent_pid = os.getppid()
        self._fd = self._create_locked()
        # Written and not merely made as long: on a full disk that is an error here, and not a
        # process that dies without a word at its first note.
        os.pwrite(self._fd, bytes(_LAYOUT.size), 0)
        self._memory = mmap.mmap(self._fd, _LAYOUT.size)
        self.clear()

    def _create_locked(self) -> int:
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX)
            # Before it was locked it looked like a dead reader's, and may have been tidied away.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(fd), os.stat(self.path)):
                    return fd
            os.close(fd)

    def begin(self, batch_id: int, *, time_limit_seconds: float = math.inf) -> None:
        """Note that a batch is taken in hand, and how long it may take."""
        deadline = time.monotonic() + time_limit_seconds
        _LAYOUT.pack_into(self._memory, 0, batch_id, _NOTHING, deadline, self._parent_pid)

    def read(self, batch_id: int, index: int) -> None:
        """Note that sound `index` of batch `batch_id` is being read from now on."""
        _READING.pack_into(self._memory, 0, batch_id, index)

    def stop_reading(self, batch_id: int) -> None:
        """Note that all of the batch's sounds were read."""
        _READING.pack_into(self._memory, 0, batch_id, _NOTHING)

    @property
    def index(self) -> int | None:
        """Which sound of the batch in hand is being read."""
        index = _READING.unpack_from(self._memory)[1]
        return None if index == _NOTHING else int(index)

    def clear(self) -> None:
        """Note that nothing is in hand."""
        _LAYOUT.pack_into(self._memory, 0, _NOTHING, _NOTHING, math.inf, self._parent_pid)

    def close(self) -> None:
        """Delete the note, unless a batch is in hand: then others are to find it."""
        if _READING.unpack_from(self._memory)[0] == _NOTHING:
            self.path.unlink(missing_ok=True)
        self._memory.close()
        os.close(self._fd)


def markers_in(folder: Path) -> list[Path]:
    """Return all notes in a folder, of the living and of the dead."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return []  # nobody has read anything here yet
    return [
        Path(entry.path)
        for entry in entries
        if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
    ]


def read_marker(path: Path) -> MarkerContent | None:
    """Return what a note says, of a living or a dead process; None when it is gone."""
    fd = _open(path)
    if fd is None:
        return None
    try:
        return _content(path, fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def claim_dead_marker(path: Path) -> Iterator[MarkerContent | None]:
    """Give what a process left behind, or None while its writer lives or another sees to it.

    The note is deleted when the block ends well: what it said has then been seen to.
    """
    fd = _open(path)
    if fd is None:
        yield None
        return
    try:
        if _is_held(fd) or not _take(fd):
            yield None
            return
        # A reader that was killed at birth left an empty note.
        yield _content(path, fd)
        path.unlink(missing_ok=True)
    finally:
        os.close(fd)


def live_markers(folder: Path) -> list[MarkerContent]:
    """Return what living readers note at this moment."""
    found = []
    for path in markers_in(folder):
        fd = _open(path)
        if fd is None:
            continue
        try:
            if _is_held(fd):
                found.append(_content(path, fd))
        finally:
            os.close(fd)
    return found


def _open(path: Path) -> int | None:
    """Return a descriptor of a note, None when it has just been seen to or is another user's."""
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (FileNotFoundError, PermissionError):
        return None


def _is_held(fd: int) -> bool:
    """Whether a note's writer lives."""
    try:
        # Shared: who merely looks must not look like the writer to another who does.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _take(fd: int) -> bool:
    """Whether this process is to see to a note; another kind of lock than its writer's."""
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _content(path: Path, fd: int) -> MarkerContent:
    parts = _NAME.fullmatch(path.name)
    if parts is None:
        raise ValueError(f"{path} is no note; its name should be host-pid-nonce.note")
    worker = ":".join(parts.groups())
    data = os.pread(fd, _LAYOUT.size, 0)
    if len(data) != _LAYOUT.size:
        return MarkerContent(worker, None, None, math.inf, 0)
    batch_id, index, deadline, parent_pid = _LAYOUT.unpack(data)
    return MarkerContent(
        worker,
        None if batch_id == _NOTHING else batch_id,
        None if index == _NOTHING else index,
        deadline,
        parent_pid,
    )
