"""Input and output of the format readers: they take a `FilePart` and return a `Layout`."""

import os
from typing import Final, NamedTuple, TypeAlias

from classifier.headers.loop_metadata import LoopInfo

#: Bytes read in one call; they hold every chunk before the data of nearly all WAV and AIFF files.
HEAD_BYTES: Final = 4096


class FilePart:
    """A file from the start of its container, which may follow tags, to its end."""

    def __init__(self, fd: int, start: int, end: int) -> None:
        self._fd = fd
        self.start = start
        self.size_bytes = max(0, end - start)
        self.head = os.pread(fd, HEAD_BYTES, start)

    def at(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes at `offset`; the descriptor's own offset is not moved."""
        if offset + length <= len(self.head):
            return self.head[offset : offset + length]
        if offset >= self.size_bytes:
            return b""  # also a forged offset, which pread would refuse as too large
        return os.pread(self._fd, length, self.start + offset)

    def after(self, offset: int) -> "FilePart":
        """Return the part from `offset` to the end."""
        return FilePart(self._fd, self.start + offset, self.start + self.size_bytes)


class StreamInfo(NamedTuple):
    """Sample rate, channels, frames and sample type from a header, not yet checked against limits.

    If this is a layout's source, a reader of this package found all values and libsndfile is not
    used.
    """

    sample_rate_hz: int
    channels: int
    frame_count: int | None  #: samples per channel; None where the container does not state it
    sample_type: str  #: libsndfile's subtype


class StandIn(NamedTuple):
    """A header for libsndfile to read in place of the file, followed by zeros (decision 12)."""

    header: bytes
    sound_bytes: int  #: length of the sound that the header announces


#: Where the values of the stream come from; None for a file that holds no sound (MIDI).
Source: TypeAlias = StreamInfo | StandIn | None


class Layout(NamedTuple):
    """A file as its container describes it."""

    container: str  #: a key of `classifier.files.extensions.EXTENSIONS`
    source: Source
    missing_bytes: int = 0  #: stated sound data that the file lacks; 0 also when unstated
    loop_info: LoopInfo | None = None
    note: str | None = None  #: for the user, if the file is unusual but readable
