"""Mutations of valid files. Everything is reproducible by one seed."""

import json
import random
import re
import struct
from collections.abc import Callable, Sequence

from classifier.headers.ogg import checksum
from tests.fuzz.seeds import Seed

_MOST_BYTES = 1 << 20

#: Values where 8, 16, 32 and 64 bit arithmetic overflows, and large sizes.
_EXTREMES = [
    value & mask
    for mask in (0xFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
    for power in (0, 1, 7, 8, 15, 16, 20, 24, 28, 31, 32, 40, 48, 62, 63, 64)
    for value in (2**power - 1, 2**power, -(2**power), 2**power - 8)
]
_EXTREMES += [0x7FF0000000000000, 0x7FF8000000000000, 0xFFF0000000000000]  # infinite, no number
_NAMES = re.compile(
    rb"OggS|vorbis|Opus|fLaC|fmt |data|ds64|fact|COMM|SSND|desc|pakt|caff|alac|ID3|Xing|Info|LAME"
    rb"|acid|smpl|LIST|INFO|INAM|basc|INST|NAME|MThd|MTrk"
)
_FIELDS = [struct.Struct(order + kind) for order in "<>" for kind in "BHIQ"]


def mutated(rng: random.Random, seeds: Sequence[Seed]) -> tuple[str, bytes, int]:
    """Return a container, the bytes of a file, and how many zeros follow them."""
    container, good = rng.choice(seeds)
    content = bytearray(good)
    for _ in range(rng.choice((1, 1, 2, 3, 5))):
        rng.choice(_MUTATIONS)(rng, content, seeds)
        del content[_MOST_BYTES:]
    if content[:4] == b"OggS" and rng.random() < 0.8:
        # Otherwise the page checksum rejects every mutation, and the parser is not tested.
        _sign_pages(content)
    n_zeros = rng.choice((100, 70_000, 300_000, 1 << 32)) if rng.random() < 0.05 else 0
    return container, bytes(content), n_zeros


def _place(rng: random.Random, content: bytearray) -> int:
    """Return an offset, mostly where headers are: after a chunk name, near the start or the end."""
    kind = rng.random()
    if kind < 0.4 and (names := [match.end() for match in _NAMES.finditer(content)]):
        return min(len(content), rng.choice(names) + rng.randrange(40))
    if kind < 0.7:
        return rng.randrange(min(len(content), 128) + 1)
    if kind < 0.85:
        return len(content) - rng.randrange(min(len(content), 300) + 1)
    return rng.randrange(len(content) + 1)


def _flip_bits(rng: random.Random, content: bytearray, _: Sequence[Seed]) -> None:
    for _ in range(rng.choice((1, 1, 2, 8))):
        place = _place(rng, content)
        if place < len(content):
            content[place] ^= 1 << rng.randrange(8)


def _set_a_field(rng: random.Random, content: bytearray, _: Sequence[Seed]) -> None:
    field = rng.choice(_FIELDS)
    value = rng.choice(_EXTREMES) if rng.random() < 0.8 else rng.randrange(len(content) + 64)
    place = _place(rng, content)
    content[place : place + field.size] = field.pack(value % (1 << 8 * field.size))


def _put_noise(rng: random.Random, content: bytearray, _: Sequence[Seed]) -> None:
    place = _place(rng, content)
    noise = rng.randbytes(rng.choice((1, 2, 4, 16, 300)))
    content[place : place + rng.choice((0, len(noise)))] = noise


def _splice(rng: random.Random, content: bytearray, seeds: Sequence[Seed]) -> None:
    """Put a piece of another file, or the rest of it, into this one."""
    other = bytearray(rng.choice(seeds)[1])
    start = _place(rng, other)
    end = rng.choice((start + 4, start + 8, start + 64, len(other)))
    place = _place(rng, content)
    content[place : place + rng.choice((0, 4, 8, len(content)))] = other[start:end]


def _repeat(rng: random.Random, content: bytearray, _: Sequence[Seed]) -> None:
    """Repeat a piece, up to more often than the limits on chunks, blocks and pages allow."""
    start = _place(rng, content)
    length = rng.choice((4, 8, 12, 24, 34, 40, 200, 5000))
    piece = bytes(content[start : start + length])
    content[start:start] = piece * rng.choice((1, 1, 2, 10, 300, 5000))


def _cut(rng: random.Random, content: bytearray, _: Sequence[Seed]) -> None:
    del content[_place(rng, content) :]


def _take_out(rng: random.Random, content: bytearray, _: Sequence[Seed]) -> None:
    place = _place(rng, content)
    del content[place : place + rng.choice((1, 2, 4, 8, 100))]


def _change_lengths(rng: random.Random, content: bytearray, _: Sequence[Seed]) -> None:
    """Give the packets of an Ogg page other lengths, or other first bytes."""
    pages = [match.start() for match in re.finditer(b"OggS", content)]
    if not pages:
        return
    at = rng.choice(pages)
    if at + 27 < len(content):
        n_lengths = content[at + 26]
        for _ in range(rng.choice((1, 3))):
            place = at + 27 + rng.randrange(n_lengths + 3)
            content[place : place + 1] = bytes([rng.choice((0, 1, 2, 12, 18, 29, 254, 255))])


def _sign_pages(content: bytearray) -> None:
    at = 0
    # Bounded: thousands of pages find no more than a hundred.
    for _ in range(100):
        at = content.find(b"OggS", at)
        if at < 0 or at + 27 > len(content):
            return
        lengths = content[at + 27 : at + 27 + content[at + 26]]
        end = at + 27 + len(lengths) + sum(lengths)
        content[at + 22 : at + 26] = struct.pack("<I", checksum(bytes(content[at:end])))
        at += 4


_MUTATIONS: list[Callable[[random.Random, bytearray, Sequence[Seed]], None]] = [
    _flip_bits,
    _flip_bits,
    _set_a_field,
    _set_a_field,
    _set_a_field,
    _put_noise,
    _splice,
    _repeat,
    _cut,
    _take_out,
    _change_lengths,
]


def name_bytes(rng: random.Random) -> bytes:
    """Return a file name: any bytes a kernel allows, mostly words and unusual letters."""
    parts = [rng.choice(_NAME_PARTS) for _ in range(rng.choice((1, 3, 8, 40)))]
    if rng.random() < 0.3:
        parts.append(rng.randbytes(rng.randrange(40)))
    if rng.random() < 0.01:
        parts *= 500
    return b"".join(parts).replace(b"\0", b"")


def entry_bytes(rng: random.Random) -> bytes:
    """Return an inbox entry: a JSON object, valid or damaged."""
    entry_object: dict[str, object] = {"path": name_bytes(rng).decode(errors="surrogateescape")}
    for key in rng.sample(("root", "vendor", "label", "path", "lable"), rng.randrange(4)):
        text = rng.choice(("packs", "drum", "Acme", "\ud800", 300 * "v"))
        values = (text, text, name_bytes(rng).decode("latin-1"), None, 1e999, [entry_object])
        entry_object[key] = rng.choice(values)
    try:
        entry = bytearray(json.dumps(entry_object).encode())
    except ValueError:  # it contains itself
        entry = bytearray(b"{" + 2000 * b'"path":[')
    if rng.random() < 0.5:
        rng.choice((_flip_bits, _put_noise, _repeat, _cut, _take_out))(rng, entry, ())
    return bytes(entry[: rng.choice((1000, 70_000))])


_NAME_PARTS = [
    *(b"Kick", b"bass_loop", b"128", b"bpm", b"BPM 90", b"F#min", b"C4", b".wav", b".WAV.mp3"),
    *(b"_", b" ", b"-", b"/", b"\\", b"\\x80", b"\\x5c", b"\\x", b".", b"..", b"\n", b"\x1b[2J"),
    *(
        text.encode()
        for text in ("ä", "a\u0308", "♯", "♭", "日本", "\u202e", "\u2028", "Ⅷ", "²", "٣")
    ),
    *(
        b"\x80",
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"9" * 50,
        b"a" * 300,
        b"<bpm>",
    ),
]
