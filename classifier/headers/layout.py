"""What the readers of this package return: container, extent of the sound, source of its numbers.

They take a descriptor, whose offset they do not move, and `head`, the file's first block.
"""

import os
from typing import NamedTuple, TypeAlias

from classifier.headers.loop_metadata import LoopInfo


class StreamInfo(NamedTuple):
    """The numbers of a stream as a header states them, not yet checked against any limit.

    As a layout's source: a reader of ours found all of them, and libsndfile is not used.
    """

    sample_rate_hz: int
    channels: int
    frame_count: int | None  #: samples per channel; None where the container does not state it
    sample_type: str  #: libsndfile's subtype


class StandIn(NamedTuple):
    """A header for libsndfile to read in place of the file, followed by zeros (decision 12)."""

    header: bytes
    sound_bytes: int  #: length of the sound that the header announces


class PassThrough(NamedTuple):
    """The file itself, for libsndfile to read from this offset."""

    offset: int


#: Where the numbers come from; None: the file holds no sound and has none (MIDI).
Source: TypeAlias = StreamInfo | StandIn | PassThrough | None


class Layout(NamedTuple):
    """A file as its container describes it."""

    container: str  #: a key of `classifier.files.extensions.EXTENSIONS`
    source: Source
    missing_bytes: int = 0  #: of the sound data that the header states; 0 also when unstated
    loop_info: LoopInfo | None = None
    note: str | None = None  #: a sentence for the user, where the file is odd, but read


def bytes_at(fd: int, head: bytes, offset: int, length: int) -> bytes:
    """Return up to `length` bytes at `offset`, from `head`, the file's first block, if possible."""
    if offset + length <= len(head):
        return head[offset : offset + length]
    if offset >= 1 << 62:
        return b""  # a forged length; pread would refuse it as a Python int too large
    return os.pread(fd, length, offset)
