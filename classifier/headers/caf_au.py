"""CAF and AU: the format and the extent of the sound.

Sources: Apple Core Audio Format 1.0; Sun audio.
"""

import struct
from typing import Final

from classifier.errors import ErrorCode, SoundError
from classifier.headers.chunks import Extent, missing_chunk, walk
from classifier.headers.layout import FilePart, Layout, StandIn, StreamInfo

_CAF_CHUNK: Final = struct.Struct(">4sQ")
_CAF_FORMATS: Final = frozenset({b"lpcm", b"alaw", b"ulaw", b"alac"})
_CAF_DESCRIPTION_BYTES: Final = 32
_ALAC_BITS: Final = {1: 16, 2: 20, 3: 24, 4: 32}

# Sun audio encodings: mu-law, 8- to 32-bit PCM, float, double, A-law.
_AU_ENCODINGS: Final = frozenset({1, 2, 3, 4, 5, 6, 7, 27})
_AU_HEADER_BYTES: Final = 24


def caf(file: FilePart) -> Layout:
    """Read the layout of a Core Audio file.

    Raises SoundError: `INVALID_HEADER`, `UNSUPPORTED_FORMAT` or `LIMIT_EXCEEDED`.
    """
    # The description always comes first: 8 bytes file header, 12 chunk header.
    description = file.head[20 : 20 + _CAF_DESCRIPTION_BYTES]
    if file.head[8:12] != b"desc" or len(description) < _CAF_DESCRIPTION_BYTES:
        raise missing_chunk("CAF", "desc")
    kind = description[8:12]
    if kind not in _CAF_FORMATS:
        raise SoundError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"its CAF format is {kind!r}; expected PCM, A-law, mu-law or ALAC",
        )
    is_alac = kind == b"alac"
    alac_info = None
    extent = None
    for name, body, length in walk(file, 8, _CAF_CHUNK, alignment=1):
        if name == b"data" and extent is None:
            # The first four bytes count edits and are not sound.
            extent = Extent.of(body + 4, max(0, length - 4), file.size_bytes)
        elif name == b"pakt" and is_alac:
            alac_info = _alac_info(description, file.at(body, min(length, 16)))
        if extent is not None and (alac_info is not None or not is_alac):
            break
    if extent is None:
        raise missing_chunk("CAF", "data")
    if is_alac and alac_info is None:
        raise missing_chunk("CAF", "pakt")
    start = b"caff" + struct.pack(">HH", 1, 0)
    start += _CAF_CHUNK.pack(b"desc", len(description)) + description
    start += _CAF_CHUNK.pack(b"data", 4 + extent.there) + bytes(4)
    source = alac_info or StandIn(start, extent.there)
    return Layout("CAF", source, extent.missing, note=extent.note)


def _alac_info(description: bytes, packets: bytes) -> StreamInfo:
    """Return the numbers of Apple's lossless codec, whose chunk of packets counts the frames.

    libsndfile counts them by decoding the last packet, and a decoder is what hostile files aim at.
    """
    rate_hz, _, flags, _, _, channels = struct.unpack_from(">d4sIIII", description)
    if len(packets) < 16 or flags not in _ALAC_BITS or not 0 < rate_hz < 2**31:
        raise SoundError(ErrorCode.INVALID_HEADER, "its CAF header states no valid numbers of ALAC")
    n_frames = struct.unpack_from(">q", packets, 8)[0]
    return StreamInfo(round(rate_hz), channels, max(0, n_frames), f"ALAC_{_ALAC_BITS[flags]}")


def au(file: FilePart) -> Layout:
    """Read the layout of a Sun audio file; as `caf`."""
    head = file.head[:_AU_HEADER_BYTES]
    if len(head) < _AU_HEADER_BYTES:
        raise SoundError(ErrorCode.INVALID_HEADER, "its AU header is not whole")
    body, stated, encoding = struct.unpack_from(">III", head, 4)
    if encoding not in _AU_ENCODINGS:
        raise SoundError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"its AU encoding is {encoding}; expected PCM, float, A-law or mu-law",
        )
    if body < _AU_HEADER_BYTES:
        raise SoundError(
            ErrorCode.INVALID_HEADER, "its AU header states that the sound begins within the header"
        )
    extent = Extent.of(body, stated, file.size_bytes)
    # A length of all ones is as long as the file, also where 32 bits would not be enough.
    start = b".snd" + struct.pack(">II", _AU_HEADER_BYTES, 0xFFFFFFFF)
    stand_in = StandIn(start + head[12:], extent.there)
    return Layout("AU", stand_in, extent.missing, note=extent.note)
