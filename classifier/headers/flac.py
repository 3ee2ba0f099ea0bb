"""FLAC: finding the one block of numbers among a file's metadata.

Like the chunks of a WAV (`classifier.headers.chunked`), the metadata of a FLAC (tags, pictures,
tables) is walked over here and never read. All numbers stand in the first block: those without
corners are taken from it here, of all others libsndfile is shown a stand-in that holds this block
and nothing else. Source: RFC 9639, 8.1 and 8.2.
"""

import struct
from typing import Final

from classifier.errors import ErrorCode, SoundError
from classifier.headers.layout import Layout, Numbers, StandIn, bytes_at

#: As of chunks: no real sound has as many.
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

    Parameters
    ----------
    fd : int
        Readable; its offset is not moved.
    head : bytes
        The file's first block, in which the metadata of most files ends.
    offset : int
        Where ``fLaC`` stands: 0, or behind an ID3 tag.
    size_bytes : int
        The file's size.

    Raises
    ------
    SoundError
        `INVALID_HEADER`, `LIMIT_EXCEEDED` or `TRUNCATED`.
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
    numbers = streaminfo[4:]
    return Layout("FLAC", stand_in=stand_in(numbers), numbers=_plain_numbers(numbers))


def _plain_numbers(streaminfo: bytes) -> Numbers | None:
    """Return the numbers of a block without corners, None for all others: libsndfile knows those.

    That it would say the same is held by a test, as for WAV (`classifier.headers.chunked`).
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
    return Numbers(rate_hz, (packed >> 41 & 0x7) + 1, frames, sample_type)


def stand_in(streaminfo: bytes) -> StandIn:
    """Return a FLAC file of nothing but these numbers."""
    block = bytes([_IS_LAST, 0, 0, _STREAMINFO_BYTES])
    return StandIn(b"fLaC" + block + streaminfo[:_STREAMINFO_BYTES], 0)


def _cut() -> SoundError:
    return SoundError(ErrorCode.TRUNCATED, "it ends before its first frame of sound")
