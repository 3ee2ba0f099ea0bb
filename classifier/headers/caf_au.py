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
_CAF_PACKETS_BYTES: Final = 16
_CAF_COOKIE_BYTES: Final = 48
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
    has_bits = description[15] in _ALAC_BITS
    packets = cookie = b""
    extent = None
    for name, body, length in walk(file, 8, _CAF_CHUNK, alignment=1):
        if name == b"data" and extent is None:
            # The first four bytes count edits and are not sound.
            extent = Extent.of(body + 4, max(0, length - 4), file.size_bytes)
        elif name == b"pakt":
            packets = file.at(body, min(length, _CAF_PACKETS_BYTES))
        elif name == b"kuki":
            cookie = file.at(body, min(length, _CAF_COOKIE_BYTES))
        if extent is not None and (not is_alac or (packets and (has_bits or cookie))):
            break
    if extent is None:
        raise missing_chunk("CAF", "data")
    if is_alac:
        alac = _alac_info(description, packets, cookie)
        return Layout("CAF", alac, extent.missing, note=extent.note)
    start = b"caff" + struct.pack(">HH", 1, 0)
    start += _CAF_CHUNK.pack(b"desc", len(description)) + description
    start += _CAF_CHUNK.pack(b"data", 4 + extent.there) + bytes(4)
    return Layout("CAF", StandIn(start, extent.there), extent.missing, note=extent.note)


def _alac_info(description: bytes, packets: bytes, cookie: bytes) -> StreamInfo:
    """Return the numbers of Apple's lossless codec, whose chunk of packets counts the frames.

    libsndfile counts them by decoding the last packet, and a decoder is what hostile files aim at.
    """
    rate_hz, _, flags, _, _, channels = struct.unpack_from(">d4sIIII", description)
    if len(packets) < _CAF_PACKETS_BYTES:
        raise missing_chunk("CAF", "pakt")
    # ffmpeg states the bits in the codec's own header alone, and puts that behind two of MPEG-4's.
    of_codec = cookie[24:] if cookie[4:8] == b"frma" else cookie
    bits = _ALAC_BITS.get(flags, of_codec[5] if len(of_codec) > 5 else 0)
    if bits not in _ALAC_BITS.values() or not 0 < rate_hz < 2**31:
        raise SoundError(ErrorCode.INVALID_HEADER, "its CAF header states no valid numbers of ALAC")
    n_frames = struct.unpack_from(">q", packets, 8)[0]
    return StreamInfo(round(rate_hz), channels, max(0, n_frames), f"ALAC_{bits}")


def au(file: FilePart) -> Layout:
    """Read the layout of a Sun audio file; as `caf`."""
    head = file.head[:_AU_HEADER_BYTES]
    if len(head) < _AU_HEADER_BYTES:
        raise SoundError(ErrorCode.INVALID_HEADER, "its AU header is not whole")
    # Digital Equipment's machines wrote it in their own order of bytes.
    order = "<" if head[:4] == b"dns." else ">"
    body, stated, encoding = struct.unpack_from(order + "III", head, 4)
    if encoding not in _AU_ENCODINGS:
        raise SoundError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"its AU encoding is {encoding}; expected PCM, float, A-law or mu-law",
        )
    extent = Extent.of(max(body, _AU_HEADER_BYTES), stated, file.size_bytes)
    # A length of all ones is as long as the file, also where 32 bits would not be enough.
    start = head[:4] + struct.pack(order + "II", _AU_HEADER_BYTES, 0xFFFFFFFF)
    stand_in = StandIn(start + head[12:], extent.there)
    return Layout("AU", stand_in, extent.missing, note=extent.note)
