"""Virtual files for libsndfile: part of a file, or a stand-in.

libsndfile calls them from C, where no exception can pass: what a read raises is kept, the read
returns nothing, as at a file's end, and the caller raises it afterwards (`VirtualFile.failure`).
"""

import os
from collections.abc import Callable
from typing import Any, Final

from classifier.headers.layout import StandIn

#: What libmpg123 may read of one file: the largest tag it is given (`sniffing`) and as much again.
#: Real MP3s need a hundredth of it (a test checks this).
MAX_BYTES_READ: Final = 2 << 20
#: A read counts as much at least: libmpg123 looks for a lost frame by single bytes, and a call from
#: C costs more than the byte.
_LEAST_BYTES_COUNTED: Final = 64


class VirtualFile:
    """A read-only file object as `soundfile` takes it."""

    def __init__(self, length: int, read_at: Callable[[int, int], bytes]) -> None:
        self._length = length
        self._read_at = read_at
        self._position = 0
        self._left = MAX_BYTES_READ
        #: What the first failed read raised.
        self.failure: BaseException | None = None
        #: Whether more than `MAX_BYTES_READ` was needed.
        self.limit_exceeded = False

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, as files do."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read as `read` does. Without it, soundfile would catch an exception for every read."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, length: int) -> bytes:
        """Return up to `length` bytes; none once a read failed or exceeded the limit."""
        if self.failure is not None or self.limit_exceeded:
            return b""
        length = max(0, min(length, self._length - self._position))
        self._left -= max(length, _LEAST_BYTES_COUNTED)
        if self._left < 0:
            self.limit_exceeded = True
            return b""
        try:
            data = self._read_at(self._position, length)
        except BaseException as failure:  # a time limit ends reads, too; it is raised again
            self.failure = failure
            return b""
        self._position += len(data)
        return data


def part_of_file(fd: int, start: int, end: int) -> VirtualFile:
    """Return the bytes of a file from `start` to `end`."""
    return VirtualFile(end - start, lambda position, length: os.pread(fd, length, start + position))


def stand_in_file(stand_in: StandIn) -> VirtualFile:
    """Return a stand-in's header, followed by as many zeros as it announces."""
    header = stand_in.header

    def read_at(position: int, length: int) -> bytes:
        return header[position : position + length].ljust(length, b"\0")

    return VirtualFile(len(header) + stand_in.sound_bytes, read_at)
