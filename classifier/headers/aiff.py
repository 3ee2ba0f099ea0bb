"""AIFF and AIFF-C: find the format and the extent of the sound in the chunks.

Sources: Apple AIFF 1.3 and AIFF-C.
"""

from typing import Final

from classifier.errors import ErrorCode, SoundError
from classifier.headers import loop_metadata
from classifier.headers.chunks import (
    BIG_ENDIAN,
    Extent,
    LoopChunks,
    after_chunk,
    missing_chunk,
    packed_chunk,
    walk,
)
from classifier.headers.layout import FilePart, Layout, StandIn

_AIFC_TYPES: Final = frozenset(
    {
        *(b"NONE", b"twos", b"sowt", b"raw ", b"in24", b"in32", b"42n1", b"23ni"),
        *(b"fl32", b"FL32", b"fl64", b"FL64", b"alaw", b"ALAW", b"ulaw", b"ULAW"),
    }
)
#: Size of a COMM chunk in plain AIFF; AIFF-C adds a compression type of four bytes and its name.
_PLAIN_COMM_BYTES: Final = 18
_AIFC_COMM_BYTES: Final = 22
#: Maximum that the 32-bit length can state, less room for the header.
_MAX_SOUND_BYTES: Final = 2**32 - 2**10


def aiff(file: FilePart) -> Layout:
    """Read the layout of an AIFF or AIFF-C file.

    Raises SoundError: `INVALID_HEADER`, `UNSUPPORTED_FORMAT` or `LIMIT_EXCEEDED`.
    """
    comm = b""
    extent = None
    end = 0
    loop_chunks = LoopChunks()
    for name, body, length in walk(file, 12, BIG_ENDIAN):
        if name == b"COMM":
            comm = comm or file.at(body, min(length, _AIFC_COMM_BYTES))
        elif name == b"SSND":
            extent = extent or _extent(file, body, length)
        elif name in loop_metadata.OF_AIFF:
            loop_chunks.read(file, name, body, length)
        if comm and extent is not None:
            end = max(after_chunk(file, body, length), extent.end)
            break
    if len(comm) < _PLAIN_COMM_BYTES:
        raise missing_chunk("AIFF", "COMM")
    if extent is None:
        raise missing_chunk("AIFF", "SSND")
    compressed = file.head[8:12] == b"AIFC" and len(comm) == _AIFC_COMM_BYTES
    if compressed and comm[18:22] not in _AIFC_TYPES:
        raise SoundError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"its AIFF-C compression is {comm[18:22]!r}; expected PCM, float, A-law or mu-law",
        )
    if extent.there > _MAX_SOUND_BYTES:
        raise SoundError(
            ErrorCode.LIMIT_EXCEEDED,
            f"its AIFF header states no length, and {extent.there:,} bytes follow; an AIFF has at "
            f"most {_MAX_SOUND_BYTES:,} bytes of sound",
        )
    loop_chunks.read_after(file, end, BIG_ENDIAN, loop_metadata.OF_AIFF)
    return Layout(
        "AIFF",
        _stand_in(comm, compressed, extent.there),
        extent.missing,
        loop_metadata.of_aiff(loop_chunks),
        extent.note,
    )


def _extent(file: FilePart, body: int, length: int) -> Extent:
    # An SSND chunk starts with eight bytes: the offset of the sound after them, and a block size.
    offset = int.from_bytes(file.at(body, 4), "big")
    start = body + 8 + offset
    if 0 < length <= 8 + offset:
        return Extent(0, 0, start)
    outer_end = 8 + int.from_bytes(file.head[4:8], "big")
    return Extent.of(start, max(0, length - 8 - offset), file.size_bytes, outer_end)


def _stand_in(comm: bytes, compressed: bool, sound_bytes: int) -> StandIn:
    # An empty compression name: a length byte and a padding byte.
    comm = comm + b"\0\0" if compressed else comm[:_PLAIN_COMM_BYTES]
    chunks = packed_chunk(b"COMM", comm, BIG_ENDIAN)
    chunks += BIG_ENDIAN.pack(b"SSND", 8 + sound_bytes) + bytes(8)
    form = b"AIFC" if compressed else b"AIFF"
    start = BIG_ENDIAN.pack(b"FORM", 4 + len(chunks) + sound_bytes) + form
    return StandIn(start + chunks, sound_bytes)
