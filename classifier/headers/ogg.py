"""Ogg: the numbers of a sound from its first pages and its last, without libsndfile.

libsndfile hands a stream's setup header to libvorbis 1.3.7, which a file of 216 bytes crashes
(decision 13). Of that header only its end is needed: which blocks are long.

An Ogg file is a chain of pages of at most 65,307 bytes. The first states rate and channels. Later
ones state a *granule position*: the number of samples up to their end. The length is the last
page's granule position, less the samples before the first page of sound.

Sources: RFC 3533 (Ogg), Vorbis I 2015 4.2 and A.2, RFC 7845 and 6716 (Opus), Ogg FLAC mapping 1.0.
"""

import itertools
import os
import struct
import zlib
from dataclasses import dataclass
from typing import Final

from classifier.errors import ErrorCode, SoundError
from classifier.headers import flac
from classifier.headers.layout import Layout, StreamInfo

_CONTINUED: Final = 1
_FIRST: Final = 2
_LAST: Final = 4

_PAGE_HEADER: Final = struct.Struct("<4sBBqIII B")
#: With the longest table of packet lengths.
_MAX_PAGE_HEADER_BYTES: Final = _PAGE_HEADER.size + 255

#: Titles and pictures before the sound; a page of 4 kB is usual, so this is some 16 MB of them.
_MAX_HEADER_PAGES: Final = 4096
#: The last page is searched for here first, and then further back, for there may be tags after it.
_NEAR_END_BYTES: Final = 65536
_FAR_END_BYTES: Final = 4 * _NEAR_END_BYTES
#: Each byte sequence that looks like the start of a page costs a checksum.
_MAX_FALSE_PAGES: Final = 64

_OTHERS: Final = (
    (b"Speex   ", "Speex"),
    (b"fLaC", "FLAC as it was put into Ogg before 2004"),
    (b"\x80theora", "Theora video"),
    (b"fishead\0", "a skeleton of several streams"),
    (b"BBCD\0", "Dirac video"),
    (b"PCM     ", "plain PCM"),
)

_VORBIS_MODE_BITS: Final = 41
_VORBIS_MAX_MODES: Final = 64
#: Enough for all modes at the end of a setup header.
_SETUP_TAIL_BYTES: Final = 512

#: RFC 6716, table 2: samples at 48 kHz in one frame, for each of the 32 configurations.
_OPUS_FRAME_SAMPLES: Final = (
    *(480, 960, 1920, 2880) * 3,
    *(480, 960) * 2,
    *(120, 240, 480, 960) * 4,
)
_OPUS_MAX_PACKET_SAMPLES: Final = 5760
_OPUS_RATES_HZ: Final = (8000, 12000, 16000, 24000, 48000)

_MIRRORED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True, slots=True)
class _Page:
    offset: int
    flags: int
    granule_position: int
    serial: int
    checksum: int
    lengths: bytes

    @property
    def body(self) -> int:
        return self.offset + _PAGE_HEADER.size + len(self.lengths)

    @property
    def end(self) -> int:
        return self.body + sum(self.lengths)

    def packet_ends(self) -> list[int]:
        """Return where in the body packets end."""
        ends, position = [], 0
        for length in self.lengths:
            position += length
            # After a length of 255 the packet continues.
            if length < 255:
                ends.append(position)
        return ends


def ogg(fd: int, size_bytes: int) -> Layout:
    """Read the layout of an Ogg file whose first stream is Vorbis, Opus or FLAC.

    Raises SoundError: `UNSUPPORTED_FORMAT`, `INVALID_HEADER`, `LIMIT_EXCEEDED` or `TRUNCATED`.
    """
    first = _page_at(fd, 0)
    if first is None or first.end > size_bytes or not first.flags & _FIRST:
        raise _broken("its first page is not whole")
    body = _body(fd, first)
    if not _has_right_checksum(fd, first):
        raise _broken("its first page does not have the checksum it states")
    if first.packet_ends() != [len(body)]:
        raise _broken("its first page does not hold one packet")
    if body[:7] == b"\x01vorbis":
        return Layout("OGG", _vorbis(fd, size_bytes, first, body))
    if body[:8] == b"OpusHead":
        return Layout("OGG", _opus(fd, size_bytes, first, body))
    if body[:5] == b"\x7fFLAC" and body[9:13] == b"fLaC":
        return Layout("OGG", flac.stand_in(body[17:]))
    what = next((name for magic, name in _OTHERS if body.startswith(magic)), "not known here")
    raise SoundError(
        ErrorCode.UNSUPPORTED_FORMAT,
        f"its first Ogg stream is {what}; expected Vorbis, Opus or FLAC",
    )


def _vorbis(fd: int, size_bytes: int, first: _Page, body: bytes) -> StreamInfo:
    if len(body) < 30 or body[7:11] != bytes(4) or not body[29] & 1:
        raise _broken("its first packet is not a whole Vorbis header")
    channels, rate_hz = struct.unpack_from("<BI", body, 11)
    short, long = 1 << (body[28] & 15), 1 << (body[28] >> 4)
    if not 64 <= short <= long <= 8192 or not channels or not rate_hz:
        raise _broken("its Vorbis header states numbers that Vorbis does not know")
    page, setup = _first_page_of_sound(fd, size_bytes, first, header_packets=2)
    modes = [long if is_long else short for is_long in _long_modes(setup)]
    blocks = [
        modes[number]
        for byte in _first_bytes(fd, page)
        # The lowest bit is set in what is not sound; then comes the mode's number.
        if not byte & 1
        and (number := byte >> 1 & (1 << (len(modes) - 1).bit_length()) - 1) < len(modes)
    ]
    # A block gives the samples between its middle and that of the one before.
    samples = sum((before + this) // 4 for before, this in itertools.pairwise(blocks))
    start = max(0, page.granule_position - samples) if modes else 0
    if page.flags & _LAST and page.granule_position <= samples:
        start = 0
    end = _last_granule_position(fd, size_bytes, first)
    return StreamInfo(rate_hz, channels, None if end is None else max(0, end - start), "VORBIS")


def _long_modes(setup: bytes) -> list[bool]:
    """Return for each mode whether its blocks are long; empty when that cannot be found out.

    The modes end the setup header: their count less one in 6 bits; for each 1 bit (long), 32 bits
    of zeros and 8 bits of a mapping's number; and a set bit.
    """
    bits = int.from_bytes(setup, "little")
    end = bits.bit_length() - 1
    longest: list[bool] = []
    modes: list[bool] = []
    while len(modes) < _VORBIS_MAX_MODES:
        end -= _VORBIS_MODE_BITS
        mode = bits >> max(0, end)
        if end < 6 or mode >> 1 & 0xFFFFFFFF or mode >> 33 & 0xFF >= _VORBIS_MAX_MODES:
            break
        modes.insert(0, bool(mode & 1))
        # The longest run whose count agrees: shorter ones may agree by chance.
        if bits >> (end - 6) & 63 == len(modes) - 1:
            longest = list(modes)
    return longest


def _opus(fd: int, size_bytes: int, first: _Page, body: bytes) -> StreamInfo:
    if len(body) < 19 or body[8] > 1:
        raise _broken("its first packet is not a whole Opus header")
    channels, skipped, stated_rate_hz = struct.unpack_from("<BHI", body, 9)
    mapping = body[18]
    if not channels or (mapping == 0 and channels > 2) or (mapping == 1 and channels > 8):
        raise _broken(
            f"its Opus header states {channels} channels, which its mapping does not have"
        )
    page, _ = _first_page_of_sound(fd, size_bytes, first, header_packets=1)
    samples = sum(map(_opus_samples, _packets(fd, page)))
    start = page.granule_position - samples
    if page.flags & _LAST and start <= 0:
        start = 0  # the last page may end early: that is how Opus states a length
    if samples == 0 or start < 0:
        raise _broken("its first page of sound states fewer samples than it holds")
    end = _last_granule_position(fd, size_bytes, first)
    # Opus is decoded at any of its rates; libsndfile takes the lowest that loses nothing.
    rate_hz = next((rate for rate in _OPUS_RATES_HZ if stated_rate_hz <= rate), _OPUS_RATES_HZ[-1])
    # Positions count at the highest, whatever is stated.
    factor = _OPUS_RATES_HZ[-1] // rate_hz
    frames = None if end is None else max(0, end - start - skipped) // factor
    return StreamInfo(rate_hz, channels, frames, "OPUS")


def _opus_samples(packet: bytes) -> int:
    if not packet:
        return 0
    frames = (1, 2, 2, packet[1] & 63 if len(packet) > 1 else 0)[packet[0] & 3]
    samples = frames * _OPUS_FRAME_SAMPLES[packet[0] >> 3]
    return samples if samples <= _OPUS_MAX_PACKET_SAMPLES else 0


def _first_page_of_sound(
    fd: int, size_bytes: int, first: _Page, header_packets: int
) -> tuple[_Page, bytes]:
    """Return the first page on which a packet of sound ends, and the end of the last header."""
    offset = first.end
    done = 0
    tail = b""
    for _ in range(_MAX_HEADER_PAGES):
        page = _page_at(fd, offset)
        if page is None and offset + _MAX_PAGE_HEADER_BYTES > size_bytes:
            raise SoundError(ErrorCode.TRUNCATED, "it ends before its first page of sound")
        if page is None:
            raise _broken("its pages do not follow one another up to its sound")
        if page.end > size_bytes:
            raise _cut()
        offset = page.end
        if page.serial != first.serial:
            continue
        ends = page.packet_ends()
        if done >= header_packets and ends:
            return page, tail
        needed = header_packets - done
        if 0 < needed <= len(ends) + 1:
            end = ends[needed - 1] if needed <= len(ends) else page.end - page.body
            start = ends[needed - 2] if needed > 1 else 0
            start = max(start, end - _SETUP_TAIL_BYTES)
            tail = (tail + os.pread(fd, end - start, page.body + start))[-_SETUP_TAIL_BYTES:]
        done += len(ends)
    raise SoundError(
        ErrorCode.LIMIT_EXCEEDED, f"it has over {_MAX_HEADER_PAGES:,} pages before its sound"
    )


def _last_granule_position(fd: int, size_bytes: int, first: _Page) -> int | None:
    """Return the last granule position of the first stream; None when another stream is last."""
    others = False
    for length in (_NEAR_END_BYTES, _FAR_END_BYTES):
        start = max(0, size_bytes - length)
        tail = os.pread(fd, length, start)
        false_pages = 0
        at = tail.rfind(b"OggS")
        while at >= 0 and false_pages < _MAX_FALSE_PAGES:
            page = _page_at(fd, start + at)
            if page is not None and page.end <= size_bytes and _has_right_checksum(fd, page):
                if page.serial == first.serial and page.granule_position != -1:
                    _require_no_cut_page(fd, size_bytes, page)
                    return page.granule_position
                others = others or page.serial != first.serial
            else:
                false_pages += 1
            at = tail.rfind(b"OggS", 0, at)
        if start == 0:
            break
    if others:
        return None
    raise _broken(f"no page of its sound is found in its last {_FAR_END_BYTES // 1024} KiB")


def _require_no_cut_page(fd: int, size_bytes: int, last: _Page) -> None:
    after = os.pread(fd, _MAX_PAGE_HEADER_BYTES, last.end)
    if not after or not after.startswith(b"OggS"[: len(after)]):
        return
    page = _page_at(fd, last.end)
    if (page is None and len(after) < _MAX_PAGE_HEADER_BYTES) or (page and page.end > size_bytes):
        raise _cut()


def _page_at(fd: int, offset: int) -> _Page | None:
    header = os.pread(fd, _MAX_PAGE_HEADER_BYTES, offset)
    if len(header) < _PAGE_HEADER.size:
        return None
    magic, version, flags, granule, serial, _, checksum, n_lengths = _PAGE_HEADER.unpack_from(
        header
    )
    lengths = header[_PAGE_HEADER.size : _PAGE_HEADER.size + n_lengths]
    if magic != b"OggS" or version or len(lengths) < n_lengths:
        return None
    return _Page(offset, flags, granule, serial, checksum, lengths)


def _body(fd: int, page: _Page) -> bytes:
    return os.pread(fd, page.end - page.body, page.body)


def _packets(fd: int, page: _Page) -> list[bytes]:
    """Return the packets that both start and end on a page."""
    body = _body(fd, page)
    ends = page.packet_ends()
    packets = [body[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return packets[1:] if page.flags & _CONTINUED else packets


def _first_bytes(fd: int, page: _Page) -> bytes:
    return b"".join(packet[:1] for packet in _packets(fd, page))


def checksum(page: bytes) -> int:
    """Return the checksum that a page has to state."""
    page = page[:22] + bytes(4) + page[26:]
    # Ogg's polynomial is zlib's, but Ogg takes each byte from its other end and inverts nothing.
    mirrored = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def _has_right_checksum(fd: int, page: _Page) -> bool:
    return checksum(os.pread(fd, page.end - page.offset, page.offset)) == page.checksum


def _broken(reason: str) -> SoundError:
    return SoundError(ErrorCode.INVALID_HEADER, f"its OGG header cannot be read: {reason}")


def _cut() -> SoundError:
    return SoundError(ErrorCode.TRUNCATED, "it ends in the middle of a page")
