"""What a reader finds out about a file before libsndfile: container, extent, source of numbers."""

import os
from typing import NamedTuple, TypeAlias

from classifier.headers.loop_metadata import LoopInfo


class StreamInfo(NamedTuple):
    """The numbers of a stream as a header states them, not yet checked against any limit.

    As a layout's source: a reader of ours found all of them, and libsndfile is not used.

    Attributes
    ----------
    frame_count : int or None
        Samples per channel; None where the container does not state it.
    sample_type : str
        libsndfile's subtype.
    """

    sample_rate_hz: int
    channels: int
    frame_count: int | None
    sample_type: str


class StandIn(NamedTuple):
    """A header for libsndfile to read in place of the file (decision 12).

    Attributes
    ----------
    sound_bytes : int
        Length of the sound that the header announces; libsndfile is given zeros for it.
    """

    header: bytes
    sound_bytes: int


class PassThrough(NamedTuple):
    """The file itself, for libsndfile to read from this offset."""

    offset: int


#: Where the numbers come from; None: the file holds no sound and has none (MIDI).
Source: TypeAlias = StreamInfo | StandIn | PassThrough | None


class Layout(NamedTuple):
    """A file as its container describes it.

    Attributes
    ----------
    container : str
        ``WAV``, ``AIFF``, ``FLAC``, ``OGG``, ``MP3``, ``AU``, ``CAF``, ``W64`` or ``MIDI``.
    missing_bytes : int
        Sound data that the header states and the file does not have; 0 when complete or unstated.
    loop_info : LoopInfo or None
        What its chunks state of tempo, key and playing; libsndfile never sees it.
    """

    container: str
    source: Source
    missing_bytes: int = 0
    loop_info: LoopInfo | None = None


def bytes_at(fd: int, head: bytes, offset: int, length: int) -> bytes:
    """Return up to `length` bytes at `offset`, from the file's first block when it holds them."""
    if offset + length <= len(head):
        return head[offset : offset + length]
    if offset >= 1 << 62:
        return b""  # a forged length; pread would refuse it as a Python int too large
    return os.pread(fd, length, offset)
