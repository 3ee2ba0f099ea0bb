"""Walk the chunks of WAV, AIFF, W64 and CAF files, within limits and without libsndfile.

libsndfile 1.2.2 mishandles malformed chunks: a WAV of 120 bytes makes it read forever, and a chunk
with a false length can make it use an encoding that was never checked. So libsndfile never reads
the file's chunks. The walk finds the format and the extent of the sound, and libsndfile reads a
plain header built from these (decision 12).
"""

import struct
from collections.abc import Iterator, Mapping, Set
from itertools import islice
from typing import Final, NamedTuple

from classifier.errors import ErrorCode, SoundError
from classifier.headers import loop_metadata
from classifier.headers.layout import FilePart

#: Maximum number of chunks; real sounds have fewer.
MAX_CHUNKS: Final = 256

LITTLE_ENDIAN: Final = struct.Struct("<4sI")
BIG_ENDIAN: Final = struct.Struct(">4sI")

#: In RF64 this length means that the chunk of 64-bit lengths (``ds64``) states the real one.
_LENGTH_ELSEWHERE: Final = 0xFFFFFFFF
#: Lengths that programs write when they do not know the real length.
_OPEN_LENGTHS: Final = frozenset({0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFFFFFFFFFF})
#: Unknown lengths may also be near these: programs subtract the header, round to blocks (sox:
#: 0x7FFFF000, and 0x7F000000 in AIFF), or write a negative number.
_NEAR_OPEN: Final = (2**31, 2**32, 0x7F000000, 2**63, 2**64)
_OPEN_MARGIN: Final = 2**20
#: Programs that include the header in the length by mistake state at most this much too much: the
#: header of a WAV with the longest format and a fact chunk.
_HEADER_BYTES: Final = 80

#: Chunks that the readers look for.
_SOUGHT: Final = loop_metadata.OF_WAV.union(
    loop_metadata.OF_AIFF, {b"fmt ", b"data", b"fact", b"COMM", b"SSND"}
)


class Extent(NamedTuple):
    """How many bytes of sound are there, how many are missing, and where the sound ends."""

    there: int
    missing: int
    end: int
    note: str | None = None  #: for the user, if the header states a little too much

    @classmethod
    def of(cls, body: int, stated: int, size_bytes: int, outer_end: int | None = None) -> "Extent":
        """Compare a stated length with what a file of this size has after `body`.

        - `outer_end`: where the container ends according to its own length; None if it states none.
        """
        left = max(0, size_bytes - body)
        excess = stated - left
        if outer_end is None or outer_end < body or _is_open(outer_end):
            outer_end = size_bytes + excess
        if stated in _OPEN_LENGTHS or (excess > 0 and _is_open(stated)):
            return cls(left, 0, size_bytes)
        if excess <= 0:
            return cls(stated, 0, body + stated)
        # If the file was cut, the outer length exceeds the file too.
        if outer_end > size_bytes + _HEADER_BYTES:
            return cls(left, excess, size_bytes)
        note = f"its header states {excess:,} more bytes of sound than the file contains"
        return cls(left, 0, size_bytes, note)


def _is_open(length: int) -> bool:
    return any(abs(length - each) <= _OPEN_MARGIN for each in _NEAR_OPEN)


def walk(
    file: FilePart,
    offset: int,
    header: struct.Struct,
    *,
    alignment: int = 2,
    counts_header: bool = False,
    long_lengths: Mapping[bytes, int] | None = None,
) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, offset of the body and length of the body of each chunk, up to the file's end.

    - `offset`: where the first chunk starts.
    - `header`: the format of a chunk header: name and length.
    - `alignment`: chunks start at multiples of it, counted from the first.
    - `counts_header`: whether a length includes the chunk's header.
    - `long_lengths`: lengths of chunks that state 2**32 - 1; may be filled during the walk.

    Raises SoundError: `LIMIT_EXCEEDED` at the `MAX_CHUNKS`-th chunk.
    """
    header_bytes = header.size
    for number in range(MAX_CHUNKS):
        if offset + header_bytes > file.size_bytes:
            return
        raw = file.at(offset, header_bytes)
        if len(raw) < header_bytes:
            return
        if number == MAX_CHUNKS - 1:
            raise SoundError(
                ErrorCode.LIMIT_EXCEEDED, f"it has {MAX_CHUNKS} or more chunks; expected fewer"
            )
        name, length = header.unpack(raw)
        if length == _LENGTH_ELSEWHERE and long_lengths:
            length = long_lengths.get(name, length)
        if counts_header:
            length -= header_bytes
        offset += header_bytes
        yield name, offset, max(0, length)
        if length < 0:
            return
        offset = after_chunk(file, offset, length, alignment)


def after_chunk(file: FilePart, body: int, length: int, alignment: int = 2) -> int:
    """Return where the chunk after this one starts."""
    end = body + length
    padding = -length % alignment
    # Some programs omit the padding.
    return end if padding and file.at(end, 4) in _SOUGHT else end + padding


class LoopChunks(dict[bytes, bytes]):
    """The beginnings of the chunks that `classifier.headers.loop_metadata` reads, by name."""

    def read(self, file: FilePart, name: bytes, body: int, length: int) -> None:
        """Add a chunk, unless one with this name was added before."""
        content = file.at(body, min(length, loop_metadata.MOST_BYTES))
        # The first four bytes of a LIST chunk name its type.
        self.setdefault(content[:4] if name == b"LIST" else name, content)

    def read_after(
        self, file: FilePart, offset: int, header: struct.Struct, names: Set[bytes]
    ) -> None:
        """Add the chunks with these names from `offset` on; most files end there."""
        if offset + header.size > file.size_bytes:
            return
        for name, body, length in islice(walk(file, offset, header), MAX_CHUNKS - 1):
            if name in names:
                self.read(file, name, body, length)


def missing_chunk(container: str, name: str) -> SoundError:
    """Return the error for a header in which a chunk is missing or too short."""
    return SoundError(
        ErrorCode.INVALID_HEADER, f"its {container} header has no complete '{name}' chunk"
    )


def packed_chunk(name: bytes, body: bytes, header: struct.Struct) -> bytes:
    """Return a chunk for a stand-in, padded to an even length."""
    return header.pack(name, len(body)) + body + b"\0" * (len(body) % 2)
