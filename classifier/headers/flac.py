"""FLAC: the numbers of the first block, STREAMINFO; a walk over the other metadata blocks.

Tags, pictures and tables are never read (decision 13). Source: RFC 9639, 8.1 and 8.2.
"""

from typing import Final

from classifier.errors import ErrorCode, SoundError
from classifier.headers.layout import FilePart, Layout, StreamInfo

#: No real sound has as many.
_MAX_BLOCKS: Final = 256
#: The type of that block, and its length.
_STREAMINFO: Final = 0
_STREAMINFO_BYTES: Final = 34
_IS_LAST: Final = 0x80

_FEWEST_BITS: Final = 4
#: Bits of a sample, and what libsndfile calls them.
_SAMPLE_TYPES: Final = ((8, "PCM_S8"), (16, "PCM_16"), (24, "PCM_24"), (32, "PCM_32"))


def flac(file: FilePart) -> Layout:
    """Read the layout of a FLAC file.

    Raises SoundError: `INVALID_HEADER`, `LIMIT_EXCEEDED` or `TRUNCATED`.
    """
    offset = 4
    info = None
    for _ in range(_MAX_BLOCKS):
        block = file.at(offset, 4)
        if len(block) < 4:
            raise _cut()
        if info is None and block[0] & ~_IS_LAST == _STREAMINFO:
            info = stream_info(file.at(offset + 4, _STREAMINFO_BYTES))
        offset += 4 + int.from_bytes(block[1:], "big")
        if block[0] & _IS_LAST:
            break
    else:
        raise SoundError(
            ErrorCode.LIMIT_EXCEEDED,
            f"it has over {_MAX_BLOCKS} blocks of metadata; no real sound does",
        )
    info = info or stream_info(b"")
    if offset >= file.size_bytes:
        raise _cut()
    return Layout("FLAC", info)


def stream_info(streaminfo: bytes) -> StreamInfo:
    """Return the numbers of a STREAMINFO block; a test compares them with libsndfile's.

    Raises SoundError: `INVALID_HEADER`.
    """
    if len(streaminfo) < _STREAMINFO_BYTES:
        raise SoundError(
            ErrorCode.INVALID_HEADER,
            "its FLAC header cannot be read: it has no whole STREAMINFO block",
        )
    # 20 bits of rate, 3 of channels less one, 5 of bits less one, 36 of frames.
    packed = int.from_bytes(streaminfo[10:18], "big")
    rate_hz = packed >> 44
    bits = (packed >> 36 & 0x1F) + 1
    if not rate_hz or bits < _FEWEST_BITS:
        raise SoundError(
            ErrorCode.INVALID_HEADER, f"its FLAC header states {bits} bits at {rate_hz:,} Hz"
        )
    # A number of bits that libsndfile has no name for is called by the next that it has.
    sample_type = next(name for most, name in _SAMPLE_TYPES if bits <= most)
    frames = packed & (1 << 36) - 1
    # No frames: not stated.
    return StreamInfo(rate_hz, (packed >> 41 & 0x7) + 1, frames or None, sample_type)


def _cut() -> SoundError:
    return SoundError(ErrorCode.TRUNCATED, "it ends before its first frame of sound")
