"""Taking RIFF and AIFF files apart and putting them together again, right or wrong.

Not here: whole sounds (`tests.sounds`).
"""

import struct
from collections.abc import Iterable

from tests import sounds

Chunk = tuple[bytes, bytes]


def chunk(name: bytes, body: bytes, *, order: str = "<", stated: int | None = None) -> bytes:
    """Return one chunk with its padding; `stated` is a length that lies."""
    length = struct.pack(order + "I", len(body) if stated is None else stated)
    return name + length + body + b"\0" * (len(body) % 2)


def riff(*parts: bytes, magic: bytes = b"RIFF", form: bytes = b"WAVE", order: str = "<") -> bytes:
    """Return a file of these chunks."""
    body = form + b"".join(parts)
    return magic + struct.pack(order + "I", len(body)) + body


def form(*parts: bytes, kind: bytes = b"AIFF") -> bytes:
    """Return an AIFF of these chunks."""
    return riff(*parts, magic=b"FORM", form=kind, order=">")


def chunks_of(file: bytes, order: str = "<") -> dict[bytes, bytes]:
    """Return the chunks of a whole file by name, as they stand in it."""
    found: dict[bytes, bytes] = {}
    offset = 12
    while offset + 8 <= len(file):
        (length,) = struct.unpack_from(order + "I", file, offset + 4)
        end = offset + 8 + length + length % 2
        found[file[offset : offset + 4]] = file[offset:end]
        offset = end
    return found


def wav(subtype: str = "PCM_16") -> tuple[bytes, bytes]:
    """Return the format and the data chunk of a good WAV."""
    parts = chunks_of(sounds.encoded("WAV", subtype))
    return parts[b"fmt "], parts[b"data"]


def without(parts: dict[bytes, bytes], *names: bytes) -> Iterable[bytes]:
    """Return the chunks but those."""
    return [part for name, part in parts.items() if name not in names]
