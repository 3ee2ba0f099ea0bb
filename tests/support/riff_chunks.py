"""Taking RIFF and AIFF files apart and putting them together again, right or wrong.

Not here: whole sounds (`tests.support.sounds`).
"""

import struct
from collections.abc import Iterable

from tests.support import sounds

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


# What tools write beside the sound: `classifier.headers.loop_metadata` says where the layouts come
# from.


def acid(
    flags: int = 0, note: int = 60, beats: int = 0, tempo_bpm: float = 0.0, *, order: str = "<"
) -> bytes:
    """Return an ACID chunk: flags 1 one-shot, 2 root note set, 4 stretched."""
    body = struct.pack(order + "IHHfIHHf", flags, note, 0x8000, 0.0, beats, 4, 4, tempo_bpm)
    return chunk(b"acid", body, order=order)


def smpl(note: int = 60, n_loops: int = 0, *, stated_loops: int | None = None) -> bytes:
    """Return a sampler chunk; `stated_loops` is a number of loops that lies."""
    count = n_loops if stated_loops is None else stated_loops
    loops = n_loops * struct.pack("<6I", 0, 0, 100, 2000, 0, 0)
    return chunk(b"smpl", struct.pack("<9I", 0, 0, 22676, note, 0, 0, 0, count, 0) + loops)


def info(**texts: bytes) -> bytes:
    """Return a LIST chunk of texts: INAM is a title, IGNR a genre, IKEY key words."""
    parts = [chunk(name.encode(), text + b"\0") for name, text in texts.items()]
    return chunk(b"LIST", b"INFO" + b"".join(parts))


def basc(beats: int = 16, note: int = 57, scale: int = 1, kind: int = 0) -> bytes:
    """Return an Apple Loops chunk: scale 1 minor, 2 major."""
    body = struct.pack(">IIHHHHH", 1, beats, note, scale, 4, 4, kind)
    return chunk(b"basc", body + bytes(66), order=">")


def inst(note: int = 60, play_mode: int = 0) -> bytes:
    """Return the instrument chunk of an AIFF: play mode 1 is a sustained loop."""
    body = struct.pack(">6bhhHHhHH", note, 0, 0, 127, 1, 127, 0, play_mode, 1, 2, 0, 0, 0)
    return chunk(b"INST", body, order=">")
