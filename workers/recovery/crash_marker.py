"""Crash markers record which file a process is reading, so that others know it after a crash.

A file that makes libsndfile abort raises no exception; the process just dies. So before each file a
process writes a few bytes of shared memory: its batch, the file's index and the batch's deadline.
A lock on the marker, which the kernel drops with the process, shows whether the process is alive.

Old and new versions may share a host, so names and layout of markers must not change. Other files
are ignored, also the ``.iou`` files of an earlier version: their batches return when their leases
expire.
"""

import contextlib
import fcntl
import math
import mmap
import os
import re
import socket
import struct
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Batch id, index into it, end of the batch's time (seconds of CLOCK_MONOTONIC), parent process.
_LAYOUT: Final = struct.Struct("<qqdq")
_READING: Final = struct.Struct("<qq")
_NOTHING: Final = -1
#: ``host-pid-nonce.note``
_NAME: Final = re.compile(r"(.+)-(\d+)-(\w+)\.note", re.ASCII)
#: The deadline that marks a batch to be handed back. An earlier version treats it as a timeout with
#: no file being read, and hands the batch back too, after a back-off.
_HANDED_BACK: Final = -math.inf


def new_worker_name() -> str:
    """Return ``host:pid:nonce``; the nonce differs from a later process with the same pid."""
    return f"{socket.gethostname()[:200]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True, slots=True)
class MarkerContent:
    """What a marker contains."""

    #: The name under which the process claims batches.
    worker: str
    #: The batch in progress, if there is one.
    batch_id: int | None
    #: The index of the sound that is being read, if there is one.
    index: int | None
    #: The batch's deadline, in seconds of this machine's monotonic clock.
    deadline: float
    parent_pid: int

    @property
    def pid(self) -> int:
        """The process id; valid while the marker is locked."""
        return int(self.worker.split(":")[-2])

    @property
    def awaits_hand_back(self) -> bool:
        """Whether its batch is to be handed back with no attempt counted."""
        return self.deadline == _HANDED_BACK

    def overdue_seconds(self) -> float:
        """Return the time since the deadline; negative before it."""
        return time.monotonic() - self.deadline


class CrashMarker:
    """The marker of this process; raises OSError when the folder cannot be written.

    `worker` is the name under which the process claims batches.
    """

    def __init__(self, folder: Path, worker: str | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # Not later: it changes when the parent ends.
        self._parent_pid = os.getppid()
        self._create(folder, worker or new_worker_name())

    def _create(self, folder: Path, worker: str) -> None:
        path = folder / (worker.replace(":", "-") + ".note")
        fd = _create_locked(path)
        try:
            # Written, not only truncated to this size: on a full disk that would be a SIGBUS later.
            os.pwrite(fd, bytes(_LAYOUT.size), 0)
            memory = mmap.mmap(fd, _LAYOUT.size)
        except OSError as error:
            path.unlink()
            os.close(fd)
            error.filename = str(path)
            raise
        self.worker, self.path, self._fd, self._memory = worker, path, fd, memory
        self.clear()

    def begin(self, batch_id: int, *, time_limit_seconds: float = math.inf) -> None:
        """Record a batch that begins, and how long it may take."""
        self._write(batch_id, time.monotonic() + time_limit_seconds)

    def begin_reading(self, batch_id: int, index: int) -> None:
        """Record that sound `index` of batch `batch_id` is being read from now on."""
        _READING.pack_into(self._memory, 0, batch_id, index)

    def stop_reading(self, batch_id: int) -> None:
        """Record that all sounds of the batch were read."""
        _READING.pack_into(self._memory, 0, batch_id, _NOTHING)

    @property
    def index(self) -> int | None:
        """The sound that is being read."""
        return _none_if_nothing(_READING.unpack_from(self._memory)[1])

    def clear(self) -> None:
        """Record that there is no batch."""
        self._write(_NOTHING, math.inf)

    def _write(self, batch_id: int, deadline: float) -> None:
        _LAYOUT.pack_into(self._memory, 0, batch_id, _NOTHING, deadline, self._parent_pid)

    def hand_back_later(self) -> None:
        """Have the batch handed back when the database answers, with no attempt counted.

        The marker stays, as that of a dead process. This process continues with a new name and a
        new marker, so that the old name holds no other batch. If the new marker cannot be written
        (OSError), the old one is still in use.
        """
        memory, fd = self._memory, self._fd
        self._create(self.path.parent, new_worker_name())
        _mark_hand_back(memory)
        memory.close()
        os.close(fd)

    def hand_back_after_exit(self) -> None:
        """Have the batch handed back after this process has ended, with no attempt counted."""
        _mark_hand_back(self._memory)

    def close(self) -> None:
        """Delete the marker, unless a batch is in progress: then it stays for recovery."""
        if _READING.unpack_from(self._memory)[0] == _NOTHING:
            self.path.unlink(missing_ok=True)
        self._memory.close()
        os.close(self._fd)


def _mark_hand_back(memory: mmap.mmap) -> None:
    batch_id, _, _, parent_pid = _LAYOUT.unpack_from(memory)
    _LAYOUT.pack_into(memory, 0, batch_id, _NOTHING, _HANDED_BACK, parent_pid)


def _create_locked(path: Path) -> int:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
        except OSError as error:  # a network mount without locks
            os.close(fd)
            raise OSError(error.errno, error.strerror, str(path)) from error
        # Until it was locked, this marker looked like a dead process's, and may have been deleted.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), os.stat(path)):
                return fd
        os.close(fd)


def markers_in(folder: Path) -> list[Path]:
    """Return the markers in a folder, of live and of dead processes."""
    return [
        path
        for path in sorted(folder.glob("*.note"))
        if _NAME.fullmatch(path.name) and not path.is_symlink() and path.is_file()
    ]


def read_marker(path: Path) -> MarkerContent | None:
    """Return the content of a live or a dead process's marker; None when it is gone."""
    with _opened(path) as fd:
        return None if fd is None else _content(path, fd)


@contextlib.contextmanager
def claim_dead_marker(path: Path) -> Iterator[MarkerContent | None]:
    """Claim a dead process's marker; None if the process is alive or another one has the claim.

    The marker is deleted when the block ends without an exception.
    """
    with _opened(path) as fd:
        if fd is None or _is_locked(fd) or not _lock_for_recovery(fd):
            yield None
            return
        yield _content(path, fd)
        path.unlink(missing_ok=True)


def live_markers(folder: Path) -> list[MarkerContent]:
    """Return the contents of the markers of live processes."""
    contents = []
    for path in markers_in(folder):
        with _opened(path) as fd:
            if fd is not None and _is_locked(fd):
                contents.append(_content(path, fd))
    return contents


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    """Open a marker; None when it has just been deleted or belongs to another user."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (FileNotFoundError, PermissionError):
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def _is_locked(fd: int) -> bool:
    try:
        # Shared, so that two checking processes do not mistake each other for the marker's owner.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _lock_for_recovery(fd: int) -> bool:
    try:  # another kind of lock than that of the marker's process
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _content(path: Path, fd: int) -> MarkerContent:
    parts = _NAME.fullmatch(path.name)
    if parts is None:
        raise ValueError(f"{path} is no crash marker: expected a name like host-pid-nonce.note")
    worker = ":".join(parts.groups())
    data = os.pread(fd, _LAYOUT.size, 0)
    if len(data) != _LAYOUT.size:  # the process was killed while it created the marker
        return MarkerContent(worker, None, None, math.inf, 0)
    batch_id, index, deadline, parent_pid = _LAYOUT.unpack(data)
    return MarkerContent(
        worker, _none_if_nothing(batch_id), _none_if_nothing(index), deadline, parent_pid
    )


def _none_if_nothing(number: int) -> int | None:
    return None if number == _NOTHING else number
