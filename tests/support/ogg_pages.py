"""Taking Ogg files apart and putting them together again, right or wrong.

Not here: whole sounds (`tests.support.sounds`).
"""

import struct

FIRST, LAST = 2, 4

#: The packet of comments of a Vorbis stream, which has none.
COMMENTS = b"\x03vorbis" + struct.pack("<II", 0, 0) + b"\1"

CODEBOOK = 0x564342
#: One floor, one residue, one mapping, one mode: the least a decoder can be set up with.
REST_OF_A_SETUP = [
    *((0, 6), (0, 16)),
    *((0, 6), (1, 16), (0, 5), (0, 2), (0, 4)),
    *((0, 6), (0, 16), (0, 24), (0, 24), (0, 24), (0, 6), (0, 8), (0, 3), (0, 1)),
    *((0, 6), (0, 16), (0, 1), (0, 1), (0, 2), (0, 8), (0, 8), (0, 8)),
    *((0, 6), (0, 1), (0, 16), (0, 16), (0, 8), (1, 1)),
]


def checksum(page: bytes) -> int:
    """Return a page's checksum, a bit at a time as RFC 3533 has it."""
    remainder = 0
    for byte in page[:22] + bytes(4) + page[26:]:
        remainder ^= byte << 24
        for _ in range(8):
            remainder = (remainder << 1 ^ (0x04C11DB7 if remainder >> 31 else 0)) & 0xFFFFFFFF
    return remainder


def page(
    *packets: bytes, flags: int = 0, position: int = 0, serial: int = 7, number: int = 0
) -> bytes:
    """Return one page of whole packets."""
    lengths = b""
    for packet in packets:
        lengths += b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, position, serial, number, 0, len(lengths))
    return signed(head + lengths + b"".join(packets))


def signed(content: bytes) -> bytes:
    """Return a page with the checksum that it should have."""
    return content[:22] + struct.pack("<I", checksum(content)) + content[26:]


def pages_of(file: bytes) -> list[bytes]:
    """Return the pages of a whole file."""
    pages, offset = [], 0
    while offset < len(file):
        lengths = file[offset + 27 : offset + 27 + file[offset + 26]]
        end = offset + 27 + len(lengths) + sum(lengths)
        pages.append(file[offset:end])
        offset = end
    return pages


def vorbis_head(channels: int = 1, rate_hz: int = 44100, blocks: int = 0xB8) -> bytes:
    """Return the packet that starts a Vorbis stream."""
    numbers = struct.pack("<IBIiiiBB", 0, channels, rate_hz, 0, 0, 0, blocks, 1)
    return b"\x01vorbis" + numbers


def opus_head(channels: int = 1, skipped: int = 0, rate_hz: int = 48000, mapping: int = 0) -> bytes:
    """Return the packet that starts an Opus stream."""
    return b"OpusHead" + struct.pack("<BBHIhB", 1, channels, skipped, rate_hz, 0, mapping)


def bits(*fields: tuple[int, int]) -> bytes:
    """Pack (value, width) pairs as Vorbis does, each from its lowest bit."""
    packed, width = 0, 0
    for value, n_bits in fields:
        packed |= value << width
        width += n_bits
    return packed.to_bytes((width + 7) // 8, "little")


def setup_of(n_codebooks, log2_entries):
    """Return a setup header with codebooks of as many words, all of one length."""
    book = [
        *((CODEBOOK, 24), (1, 16), (1 << log2_entries, 24), (1, 1), (log2_entries - 1, 5)),
        *((1 << log2_entries, log2_entries + 1), (0, 4)),
    ]
    return b"\x05vorbis" + bits((n_codebooks - 1, 8), *book * n_codebooks, *REST_OF_A_SETUP)


def hostile(setup):
    """Return a stream with this setup header: a thousand samples of stereo."""
    return (
        page(vorbis_head(2, 48000), flags=FIRST)
        + page(COMMENTS, setup, number=1)
        + page(b"\0", b"\0", position=128, number=2)
        + page(b"\0", flags=LAST, position=1128, number=3)
    )
