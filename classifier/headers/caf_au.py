"""CAF and AU: find the format and the extent of the sound.

Sources: Apple Core Audio Format 1.0; Sun audio.
"""

import struct
from collections.abc import Mapping
from typing import Final

from classifier.errors import ErrorCode, SoundError
from classifier.headers.chunks import Extent, missing_chunk, walk
from classifier.headers.layout import FilePart, Layout, StandIn, StreamInfo

_CAF_CHUNK: Final = struct.Struct(">4sQ")
_CAF_FORMATS: Final = frozenset({b"lpcm", b"alaw", b"ulaw", b"alac"})
_CAF_DESCRIPTION_BYTES: Final = 32
_CAF_PACKETS: Final = struct.Struct(">qq")
_ALAC_CHUNKS: Final = frozenset({b"data", b"pakt", b"kuki"})
_ALAC_BITS: Final = {1: 16, 2: 20, 3: 24, 4: 32}

# Sun audio encodings: mu-law, 8- to 32-bit PCM, float, double, A-law.
_AU_ENCODINGS: Final = frozenset({1, 2, 3, 4, 5, 6, 7, 27})
_AU_HEADER_BYTES: Final = 24


def caf(file: FilePart) -> Layout:
    """Read the layout of a Core Audio file.

    Raises SoundError: `INVALID_HEADER`, `UNSUPPORTED_FORMAT` or `LIMIT_EXCEEDED`.
    """
    # The description always comes first, after 8 bytes of file header and 12 of chunk header.
    description = file.head[20 : 20 + _CAF_DESCRIPTION_BYTES]
    if file.head[8:12] != b"desc" or len(description) < _CAF_DESCRIPTION_BYTES:
        raise missing_chunk("CAF", "desc")
    kind = description[8:12]
    if kind not in _CAF_FORMATS:
        raise SoundError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"its CAF format is {kind!r}; expected PCM, A-law, mu-law or ALAC",
        )
    chunks: dict[bytes, tuple[int, int]] = {}
    sought = _ALAC_CHUNKS if kind == b"alac" else {b"data"}
    for name, body, length in walk(file, 8, _CAF_CHUNK, alignment=1):
        chunks.setdefault(name, (body, length))
        if sought <= chunks.keys():
            break
    if b"data" not in chunks:
        raise missing_chunk("CAF", "data")
    body, length = chunks[b"data"]
    # The first four bytes count edits and are not sound.
    extent = Extent.of(body + 4, max(0, length - 4), file.size_bytes)
    if kind == b"alac":
        info = _alac(file, description, chunks, extent.end)
        return Layout("CAF", info, extent.missing, note=extent.note)
    start = b"caff" + struct.pack(">HH", 1, 0)
    start += _CAF_CHUNK.pack(b"desc", len(description)) + description
    start += _CAF_CHUNK.pack(b"data", 4 + extent.there) + bytes(4)
    return Layout("CAF", StandIn(start, extent.there), extent.missing, note=extent.note)


def _alac(
    file: FilePart, description: bytes, chunks: Mapping[bytes, tuple[int, int]], end: int
) -> StreamInfo:
    """Read the stream of Apple's lossless codec; its packet table (``pakt``) states the frames.

    libsndfile would count frames by decoding the last packet, and decoders are the target of
    hostile files.

    - `end`: where the sound ends.
    """
    rate_hz, _, flags, _, most_frames, channels = struct.unpack_from(">d4sIIII", description)
    start, length = chunks.get(b"pakt", (0, 0))
    counts = file.at(start, min(length, _CAF_PACKETS.size))
    if len(counts) < _CAF_PACKETS.size:
        raise missing_chunk("CAF", "pakt")
    # ffmpeg states the bits per sample only in the codec's own header, after two MPEG-4 headers.
    start_of_codec, _ = chunks.get(b"kuki", (file.size_bytes, 0))
    if file.at(start_of_codec + 4, 4) == b"frma":
        start_of_codec += 24
    bits = _ALAC_BITS.get(flags) or int.from_bytes(file.at(start_of_codec + 5, 1), "big")
    if bits not in _ALAC_BITS.values() or not 0 < rate_hz < 2**31:
        raise SoundError(ErrorCode.INVALID_HEADER, "its CAF header states no valid ALAC parameters")
    n_packets, n_frames = _CAF_PACKETS.unpack(counts)
    if n_frames == n_packets * most_frames:
        # The table counts the last packet as full, as in files from ffmpeg.
        n_frames -= most_frames - _last_alac_packet_frames(file, start + length, end, most_frames)
    return StreamInfo(round(rate_hz), channels, max(0, n_frames), f"ALAC_{bits}")


def _last_alac_packet_frames(file: FilePart, table_end: int, end: int, most_frames: int) -> int:
    # The packet table ends with the length of the last packet: seven bits per byte, and the highest
    # bit is set in all bytes but the last.
    length, shift = 0, 0
    for byte in reversed(file.at(table_end - 5, 5)):
        if shift and not byte & 0x80:
            break
        length |= (byte & 0x7F) << shift
        shift += 7
    # A packet starts with 19 bits, a flag that is set if it is not full, three bits, and its frame
    # count.
    packet = int.from_bytes(file.at(end - length, 7), "big")
    n_frames = packet >> 1 & 0xFFFFFFFF
    is_stated = length and packet >> 36 & 1
    return n_frames if is_stated and n_frames < most_frames else most_frames


def au(file: FilePart) -> Layout:
    """Read the layout of a Sun audio file.

    Raises SoundError: `INVALID_HEADER` or `UNSUPPORTED_FORMAT`.
    """
    head = file.head[:_AU_HEADER_BYTES]
    if len(head) < _AU_HEADER_BYTES:
        raise SoundError(ErrorCode.INVALID_HEADER, "its AU header is incomplete")
    # Machines of Digital Equipment wrote little-endian files.
    order = "<" if head[:4] == b"dns." else ">"
    body, stated, encoding = struct.unpack_from(order + "III", head, 4)
    if encoding not in _AU_ENCODINGS:
        raise SoundError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"its AU encoding is {encoding}; expected PCM, float, A-law or mu-law",
        )
    extent = Extent.of(max(body, _AU_HEADER_BYTES), stated, file.size_bytes)
    # A length of 0xFFFFFFFF means up to the end of the file, even if 32 bits cannot hold the
    # length.
    start = head[:4] + struct.pack(order + "II", _AU_HEADER_BYTES, 0xFFFFFFFF)
    stand_in = StandIn(start + head[12:], extent.there)
    return Layout("AU", stand_in, extent.missing, note=extent.note)
