"""FLAC: the numbers of the first block, STREAMINFO; a walk over the other metadata blocks.

libsndfile reads unusual numbers, from a stand-in of this block alone (decision 13). Tags, pictures
and tables are never read. Source: RFC 9639, 8.1 and 8.2.
"""

import struct
from typing import Final

from classifier.errors import ErrorCode, SoundError
from classifier.headers.layout import Layout, StandIn, StreamInfo, bytes_at

#: No real sound has as many.
_MAX_BLOCKS: Final = 256
_STREAMINFO_BYTES: Final = 34
_IS_LAST: Final = 0x80

#: Bits of a sample, and what libsndfile calls them.
_PLAIN_TYPES: Final = {8: "PCM_S8", 16: "PCM_16", 24: "PCM_24"}
_HIGHEST_PLAIN_RATE_HZ: Final = 192_000
#: RFC 9639 allows no shorter block.
_LEAST_BLOCK_FRAMES: Final = 16


def flac(fd: int, head: bytes, offset: int, size_bytes: int) -> Layout:
    """Read the layout of a FLAC file.

    `offset` is that of ``fLaC``: 0, or after an ID3 tag.

    Raises SoundError: `INVALID_HEADER`, `LIMIT_EXCEEDED` or `TRUNCATED`.
    """
    offset += 4
    streaminfo = bytes_at(fd, head, offset, 4 + _STREAMINFO_BYTES)
    if len(streaminfo) < 4 + _STREAMINFO_BYTES or streaminfo[0] & ~_IS_LAST:
        raise SoundError(
            ErrorCode.INVALID_HEADER,
            "its FLAC header cannot be read: it has no whole STREAMINFO block at its start",
        )
    for _ in range(_MAX_BLOCKS):
        block = bytes_at(fd, head, offset, 4)
        if len(block) < 4:
            raise _cut()
        offset += 4 + int.from_bytes(block[1:], "big")
        if block[0] & _IS_LAST:
            break
    else:
        raise SoundError(
            ErrorCode.LIMIT_EXCEEDED,
            f"it has over {_MAX_BLOCKS} blocks of metadata; no real sound does",
        )
    if offset >= size_bytes:
        raise _cut()
    streaminfo = streaminfo[4:]
    return Layout("FLAC", _stream_info(streaminfo) or stand_in(streaminfo))


def _stream_info(streaminfo: bytes) -> StreamInfo | None:
    """Return the numbers of a common STREAMINFO; None for unusual ones, which libsndfile handles.

    A test compares both.
    """
    shortest, longest = struct.unpack_from(">HH", streaminfo)
    # 20 bits of rate, 3 of channels less one, 5 of bits less one, 36 of frames.
    packed = int.from_bytes(streaminfo[10:18], "big")
    rate_hz = packed >> 44
    sample_type = _PLAIN_TYPES.get((packed >> 36 & 0x1F) + 1)
    frames = packed & (1 << 36) - 1
    if (
        sample_type is None
        or not 0 < rate_hz <= _HIGHEST_PLAIN_RATE_HZ
        or not _LEAST_BLOCK_FRAMES <= shortest <= longest
        or frames == 0  # not stated
    ):
        return None
    return StreamInfo(rate_hz, (packed >> 41 & 0x7) + 1, frames, sample_type)


def stand_in(streaminfo: bytes) -> StandIn:
    """Return a FLAC file of nothing but this block."""
    block = bytes([_IS_LAST, 0, 0, _STREAMINFO_BYTES])
    return StandIn(b"fLaC" + block + streaminfo[:_STREAMINFO_BYTES], 0)


def _cut() -> SoundError:
    return SoundError(ErrorCode.TRUNCATED, "it ends before its first frame of sound")
