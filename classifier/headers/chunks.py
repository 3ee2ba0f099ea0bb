"""Walking the chunks of WAV, AIFF, W64 and CAF files: bounded, and without libsndfile.

libsndfile 1.2.2 can be led astray by chunks: a WAV of 120 bytes makes it read for ever, and a chunk
with a false length can show it an encoding that was never checked. So it never sees them: the walk
finds the format and the extent of the sound, and libsndfile reads a plain header made of these
(decision 12).
"""

import struct
from collections.abc import Iterator, Mapping, Set
from itertools import islice
from typing import Final, NamedTuple

from classifier.errors import ErrorCode, SoundError
from classifier.headers import loop_metadata
from classifier.headers.layout import bytes_at

#: No real sound has as many.
MAX_CHUNKS: Final = 256

LITTLE_ENDIAN: Final = struct.Struct("<4sI")
BIG_ENDIAN: Final = struct.Struct(">4sI")

#: A length by which a writer of RF64 refers to the chunk of 64-bit lengths.
_LENGTH_ELSEWHERE: Final = 0xFFFFFFFF
#: Lengths by which writers that do not know a length say so.
_UNSTATED: Final = frozenset({0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFFFFFFFFFF})


class Extent(NamedTuple):
    """How much of the sound is there, how much the header states beyond that, where it ends."""

    there: int
    missing: int
    end: int

    @classmethod
    def of(cls, body: int, stated: int, size_bytes: int) -> "Extent":
        """Compare a stated length with what a file of this size has after `body`."""
        if stated in _UNSTATED:
            return cls(max(0, size_bytes - body), 0, size_bytes)
        return cls.exactly(body, stated, size_bytes)

    @classmethod
    def exactly(cls, body: int, stated: int, size_bytes: int) -> "Extent":
        """Compare as `of` does, for containers in which no length means "unknown"."""
        left = max(0, size_bytes - body)
        return cls(min(stated, left), max(0, stated - left), min(body + stated, size_bytes))


def walk(
    fd: int,
    head: bytes,
    offset: int,
    size_bytes: int,
    header: struct.Struct,
    *,
    alignment: int = 2,
    counts_header: bool = False,
    long_lengths: Mapping[bytes, int] | None = None,
) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, offset of the body and length of the body of each chunk, up to the file's end.

    - `offset`: of the first chunk.
    - `header`: of a chunk: its name and its length.
    - `alignment`: chunks start at multiples of it, counted from the first.
    - `counts_header`: whether a length includes the chunk's header.
    - `long_lengths`: lengths of chunks that state 2**32 - 1; may be filled during the walk.

    Raises SoundError: `LIMIT_EXCEEDED` at the `MAX_CHUNKS`-th chunk.
    """
    header_bytes = header.size
    for number in range(MAX_CHUNKS):
        if offset + header_bytes > size_bytes:
            return
        raw = bytes_at(fd, head, offset, header_bytes)
        if len(raw) < header_bytes:
            return
        if number == MAX_CHUNKS - 1:
            raise SoundError(
                ErrorCode.LIMIT_EXCEEDED, f"it has over {MAX_CHUNKS} chunks; no real sound does"
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
        offset += length + -length % alignment


class LoopChunks(dict[bytes, bytes]):
    """The beginnings of the chunks that `classifier.headers.loop_metadata` reads, by name."""

    def read(self, fd: int, head: bytes, name: bytes, body: int, length: int) -> None:
        """Add a chunk, unless one of its name is there."""
        content = bytes_at(fd, head, body, min(length, loop_metadata.MOST_BYTES))
        # LIST chunks are of several kinds, which their first four bytes name.
        self.setdefault(content[:4] if name == b"LIST" else name, content)

    def read_after(
        self,
        fd: int,
        head: bytes,
        offset: int,
        size_bytes: int,
        header: struct.Struct,
        names: Set[bytes],
    ) -> None:
        """Add the chunks of these names from `offset` on; most files end there."""
        if offset + header.size > size_bytes:
            return
        trailing = walk(fd, head, offset, size_bytes, header)
        for name, body, length in islice(trailing, MAX_CHUNKS - 1):
            if name in names:
                self.read(fd, head, name, body, length)


def missing_chunk(container: str, name: str) -> SoundError:
    """Return the error for a header that lacks a chunk, or holds too little of it."""
    return SoundError(
        ErrorCode.INVALID_HEADER, f"its {container} header has no whole '{name}' chunk"
    )


def packed_chunk(name: bytes, body: bytes, header: struct.Struct) -> bytes:
    """Return a chunk for a stand-in, padded to an even length."""
    return header.pack(name, len(body)) + body + b"\0" * (len(body) % 2)
