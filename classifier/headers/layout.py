"""What a look at a file's first bytes finds out, before libsndfile is asked."""

import os
from typing import Final, NamedTuple

from classifier.headers.loop_metadata import LoopInfo

#: Lengths by which writers that do not know a length say so.
_UNSTATED: Final = frozenset({0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFFFFFFFFFF})


class StandIn(NamedTuple):
    """What libsndfile is shown in place of a file: a header, then silence.

    Attributes
    ----------
    sound_bytes : int
        Length of the sound that the header announces and that follows it.
    """

    header: bytes
    sound_bytes: int


class Numbers(NamedTuple):
    """The numbers of a header, not yet believed.

    Attributes
    ----------
    frame_count : int or None
        Samples per channel; None where the container does not state it.
    sample_type : str
        As libsndfile calls it.
    """

    sample_rate_hz: int
    channels: int
    frame_count: int | None
    sample_type: str


class Layout(NamedTuple):
    """What the first bytes say.

    Attributes
    ----------
    container : str
        ``WAV``, ``AIFF``, ``FLAC``, ``OGG``, ``MP3``, ``AU``, ``CAF``, ``W64`` or ``MIDI``.
    missing_bytes : int
        Sound data that the header states and the file does not have; 0 when complete or unstated.
    audio_offset_bytes : int
        Where the container starts: after an ID3 tag and its padding, else 0.
    stand_in : StandIn or None
        What libsndfile is to be shown; None: the file itself.
    numbers : Numbers or None
        What was read already, so that libsndfile is not asked.
    loop_info : LoopInfo or None
        What its chunks state of tempo, key and playing; libsndfile never sees it.
    """

    container: str
    missing_bytes: int = 0
    audio_offset_bytes: int = 0
    stand_in: StandIn | None = None
    numbers: Numbers | None = None
    loop_info: LoopInfo | None = None


class Extent(NamedTuple):
    """How much of the sound is there, how much the header states beyond that, where it ends."""

    there: int
    missing: int
    end: int

    @classmethod
    def of(cls, body: int, stated: int, size_bytes: int) -> "Extent":
        """Compare a stated length with what a file of this size has behind `body`."""
        if stated in _UNSTATED:
            return cls(max(0, size_bytes - body), 0, size_bytes)
        return cls.exactly(body, stated, size_bytes)

    @classmethod
    def exactly(cls, body: int, stated: int, size_bytes: int) -> "Extent":
        """Compare as `of` does, where every length means what it says."""
        left = max(0, size_bytes - body)
        return cls(min(stated, left), max(0, stated - left), min(body + stated, size_bytes))


def bytes_at(fd: int, head: bytes, offset: int, length: int) -> bytes:
    """Return up to `length` bytes at `offset`, from the block at hand when it holds them."""
    if offset + length <= len(head):
        return head[offset : offset + length]
    if offset >= 1 << 62:
        return b""  # a forged length; pread would refuse it as a Python int too large
    return os.pread(fd, length, offset)
