"""FLAC: read the STREAMINFO block, skip the other metadata blocks, and find the last frame.

Tags, pictures and tables are never read (decision 13). Source: RFC 9639, 8.1, 8.2 and 9.1.
"""

from typing import Final

from classifier.errors import ErrorCode, SoundError
from classifier.headers.layout import FilePart, Layout, StreamInfo

#: Maximum number of metadata blocks; real sounds have fewer.
_MAX_BLOCKS: Final = 256
#: Block type and length of STREAMINFO.
_STREAMINFO: Final = 0
_STREAMINFO_BYTES: Final = 34
_IS_LAST: Final = 0x80

#: Size of the longest frame header, and of the end of a file in which the last frame is searched.
_FRAME_HEADER_BYTES: Final = 16
_TAIL_BYTES: Final = 65536
_MAX_FALSE_FRAMES: Final = 256

_FEWEST_BITS: Final = 4
#: libsndfile's subtypes, each with its bits per sample.
_SAMPLE_TYPES: Final = ((8, "PCM_S8"), (16, "PCM_16"), (24, "PCM_24"), (32, "PCM_32"))


def flac(file: FilePart) -> Layout:
    """Read the layout of a FLAC file.

    Raises SoundError: `INVALID_HEADER`, `LIMIT_EXCEEDED` or `TRUNCATED`.
    """
    offset = 4
    streaminfo = b""
    for _ in range(_MAX_BLOCKS):
        block = file.at(offset, 4)
        if len(block) < 4:
            offset = file.size_bytes
            break
        if not streaminfo and block[0] & ~_IS_LAST == _STREAMINFO:
            streaminfo = file.at(offset + 4, _STREAMINFO_BYTES)
        offset += 4 + int.from_bytes(block[1:], "big")
        if block[0] & _IS_LAST:
            break
    else:
        raise SoundError(
            ErrorCode.LIMIT_EXCEEDED,
            f"it has more than {_MAX_BLOCKS} metadata blocks",
        )
    info = stream_info(streaminfo)
    if offset >= file.size_bytes:
        raise _cut()
    counted = _counted_by_last_frame(file, offset, streaminfo[:2] == streaminfo[2:4])
    stated = info.frame_count or counted
    note = None
    if stated and counted and abs(stated - counted) > stated / 100:
        note = (
            f"its header states {stated / info.sample_rate_hz:,.2f} s of sound, but it contains "
            f"{counted / info.sample_rate_hz:,.2f} s"
        )
    return Layout("FLAC", info._replace(frame_count=counted if note else stated), note=note)


def stream_info(streaminfo: bytes) -> StreamInfo:
    """Parse a STREAMINFO block; a test compares the result with libsndfile's.

    Raises SoundError: `INVALID_HEADER`.
    """
    if len(streaminfo) < _STREAMINFO_BYTES:
        raise SoundError(
            ErrorCode.INVALID_HEADER,
            "its FLAC header cannot be read: its STREAMINFO block is incomplete",
        )
    # 20 bits of sample rate, 3 of channels minus one, 5 of sample bits minus one, 36 of frames.
    packed = int.from_bytes(streaminfo[10:18], "big")
    rate_hz = packed >> 44
    bits = (packed >> 36 & 0x1F) + 1
    if not rate_hz or bits < _FEWEST_BITS:
        raise SoundError(
            ErrorCode.INVALID_HEADER,
            f"its FLAC header states {bits} bits per sample at {rate_hz:,} Hz",
        )
    # libsndfile names only these bit depths; any other gets the name of the next larger one.
    sample_type = next(name for most, name in _SAMPLE_TYPES if bits <= most)
    frames = packed & (1 << 36) - 1
    # A frame count of 0 means that it is not stated.
    return StreamInfo(rate_hz, (packed >> 41 & 0x7) + 1, frames or None, sample_type)


def _counted_by_last_frame(file: FilePart, offset: int, is_fixed: bool) -> int | None:
    """Return the sample count up to the end of the last frame; None if none is found near the end.

    An encoder that writes to a pipe cannot state the count, and a file that was cut states too many
    samples.

    - `offset`: position of the first frame.
    - `is_fixed`: whether STREAMINFO states that the shortest block is as long as the longest.
    """
    start = file.at(offset, _FRAME_HEADER_BYTES)
    first = _frame(start)
    # Frames from before FLAC 1.2 do not state whether they are numbered by frame or by sample.
    if first is None or not (is_fixed or start[1] & 1):
        return None
    tail_offset = max(offset, file.size_bytes - _TAIL_BYTES)
    tail = file.at(tail_offset, file.size_bytes - tail_offset)
    at = len(tail)
    for _ in range(_MAX_FALSE_FRAMES):
        at = tail.rfind(start[:2], 0, at)
        if at < 0:
            break
        header = tail[at : at + _FRAME_HEADER_BYTES]
        frame = _frame(header)
        # A frame of this stream has the same sample rate and bits per sample.
        if frame is not None and (header[2] ^ start[2] | header[3] ^ start[3]) & 0xF == 0:
            number, samples = frame
            # Frames of variable length are numbered by their first sample.
            return (number if start[1] & 1 else number * first[1]) + samples
    return None


def _frame(header: bytes) -> tuple[int, int] | None:
    """Return a frame's number and sample count; None if its header is invalid (RFC 9639, 9.1)."""
    header = header.ljust(_FRAME_HEADER_BYTES, b"\0")
    size, rate = header[2] >> 4, header[2] & 0xF
    if size == 0:
        return None
    # The number is coded like a UTF-8 character: the first byte gives the number of further bytes.
    number, n_more = header[4], 0
    if number >= 0x80:
        n_more = max(0, 7 - (number ^ 0xFF).bit_length())
        number &= 0x3F >> n_more
    end = 5 + n_more
    for byte in header[5:end]:
        number = number << 6 | byte & 0x3F
    if size in (6, 7):
        samples = int.from_bytes(header[end : end + size - 5], "big") + 1
        end += size - 5
    else:
        samples = 192 if size == 1 else 576 << size - 2 if size < 6 else 256 << size - 8
    end += {12: 1, 13: 2, 14: 2}.get(rate, 0)
    remainder = 0
    for byte in header[:end]:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder << 1 ^ (0x107 if remainder & 0x80 else 0)
    return (number, samples) if remainder == header[end] else None


def _cut() -> SoundError:
    return SoundError(ErrorCode.TRUNCATED, "it ends before its first audio frame")
