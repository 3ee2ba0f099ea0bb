"""Taking Ogg files apart and putting them together again, right or wrong.

Not here: whole sounds (`tests.sounds`).
"""

import struct

FIRST, LAST = 2, 4


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
