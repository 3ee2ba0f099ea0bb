"""Ogg: read a sound's header from its first pages and its last, without libsndfile.

libsndfile passes a stream's setup header to libvorbis 1.3.7, which a file of 216 bytes crashes
(decision 13). This module needs only the end of that header, which states which blocks are long.

An Ogg file is a chain of pages of at most 65,307 bytes. The first page states rate and channels.
Later pages state a *granule position*: the number of samples up to their end. The length is the
last page's granule position, less the samples before the first page of sound.

Sources: RFC 3533 (Ogg), Vorbis I 2015 4.2 and A.2, RFC 7845 and 6716 (Opus), Ogg FLAC mapping 1.0.
"""

import itertools
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from classifier.errors import ErrorCode, SoundError
from classifier.headers import flac
from classifier.headers.layout import FilePart, Layout, StreamInfo

_CONTINUED: Final = 1
_FIRST: Final = 2
_LAST: Final = 4

_PAGE_HEADER: Final = struct.Struct("<4sBBqIII B")
#: Size of a page header with the longest table of packet lengths.
_MAX_PAGE_HEADER_BYTES: Final = _PAGE_HEADER.size + 255

#: Maximum number of pages with titles and pictures before the sound: some 16 MB in the usual pages
#: of 4 kB.
_MAX_HEADER_PAGES: Final = 4096
#: Limits of gaps between header pages: some programs pad these to whole blocks.
_MAX_GAP_BYTES: Final = 65536
_MAX_GAPS: Final = 16
#: How far from the end the last page is searched for, at first and then again: tags may follow it.
_NEAR_END_BYTES: Final = 65536
_FAR_END_BYTES: Final = 4 * _NEAR_END_BYTES
_NO_LENGTH: Final = (
    f"its length is unknown: no audio page is within its last {_FAR_END_BYTES // 1024} KiB"
)
#: Maximum number of false page starts: each one costs a checksum.
_MAX_FALSE_PAGES: Final = 64

_UNSUPPORTED: Final = (
    (b"Speex   ", "Speex"),
    (b"fLaC", "FLAC in the Ogg mapping from before 2004"),
    (b"\x80theora", "Theora video"),
    (b"fishead\0", "an Ogg Skeleton"),
    (b"BBCD\0", "Dirac video"),
    (b"PCM     ", "plain PCM"),
)

_VORBIS_MODE_BITS: Final = 41
_VORBIS_MAX_MODES: Final = 64
#: Bytes kept of the end of a setup header; they hold all modes.
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
        """Return the offsets in the body at which packets end."""
        ends, position = [], 0
        for length in self.lengths:
            position += length
            # A length of 255 means that the packet continues.
            if length < 255:
                ends.append(position)
        return ends


def ogg(file: FilePart) -> Layout:
    """Read the layout of an Ogg file whose first stream is Vorbis, Opus or FLAC.

    Raises SoundError: `UNSUPPORTED_FORMAT`, `INVALID_HEADER`, `LIMIT_EXCEEDED` or `TRUNCATED`.
    """
    first = _page_at(file, 0)
    if first is None or first.end > file.size_bytes or not first.flags & _FIRST:
        raise _broken("its first page is incomplete")
    if not _has_valid_checksum(file, first):
        raise _broken("the checksum of its first page is wrong")
    ends = first.packet_ends()
    if not ends:
        raise _broken("its first page contains no complete packet")
    body = file.at(first.body, ends[0])
    read: Callable[[FilePart, _Page, bytes, int | None], StreamInfo]
    if body[:7] == b"\x01vorbis":
        read = _vorbis
    elif body[:8] == b"OpusHead":
        read = _opus
    elif body[:5] == b"\x7fFLAC" and body[9:13] == b"fLaC":
        read = _flac
    else:
        codec = next((name for magic, name in _UNSUPPORTED if body.startswith(magic)), "unknown")
        raise SoundError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"the codec of its first Ogg stream is {codec}; expected Vorbis, Opus or FLAC",
        )
    last = _last_page(file, first)
    info = read(file, first, body, last.granule_position if last else None)
    following = _page_at(file, last.end) if last else None
    note = None
    if info.frame_count is None:
        note = _NO_LENGTH
    elif following and following.flags & _FIRST:
        note = "its length is that of the first of several sounds in the file"
    return Layout("OGG", info, note=note)


def _flac(_file: FilePart, _first: _Page, body: bytes, end: int | None) -> StreamInfo:
    info = flac.stream_info(body[17:])
    return info._replace(frame_count=info.frame_count or end)


def _vorbis(file: FilePart, first: _Page, body: bytes, end: int | None) -> StreamInfo:
    if len(body) < 30 or body[7:11] != bytes(4) or not body[29] & 1:
        raise _broken("its Vorbis header is incomplete")
    channels, rate_hz = struct.unpack_from("<BI", body, 11)
    short, long = 1 << (body[28] & 15), 1 << (body[28] >> 4)
    if not 64 <= short <= long <= 8192 or not channels or not rate_hz:
        raise _broken("its Vorbis header states invalid channels, sample rate or block sizes")
    page, packets, setup = _first_page_of_sound(file, first, header_packets=3)
    modes = [long if is_long else short for is_long in _long_modes(setup)]
    blocks = [
        modes[number]
        for packet in packets
        # The lowest bit is 0 in packets of sound; the mode number follows.
        if packet
        and not packet[0] & 1
        and (number := packet[0] >> 1 & (1 << (len(modes) - 1).bit_length()) - 1) < len(modes)
    ]
    # A block yields the samples between its middle and that of the previous block.
    samples = sum((before + this) // 4 for before, this in itertools.pairwise(blocks))
    start = max(0, page.granule_position - samples) if modes else 0
    if page.flags & _LAST and page.granule_position <= samples:
        start = 0
    return StreamInfo(rate_hz, channels, None if end is None else max(0, end - start), "VORBIS")


def _long_modes(setup: bytes) -> list[bool]:
    """Return for each mode whether its blocks are long; empty if the modes cannot be found.

    The setup header ends with the modes: their count minus one in 6 bits; for each mode 1 bit
    (long), 32 bits of zeros and 8 bits of mapping number; and a final set bit.
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
        # Keep the longest run that matches its count: shorter ones may match by chance.
        if bits >> (end - 6) & 63 == len(modes) - 1:
            longest = list(modes)
    return longest


def _opus(file: FilePart, first: _Page, body: bytes, end: int | None) -> StreamInfo:
    if len(body) < 19 or body[8] > 1:
        raise _broken("its Opus header is incomplete")
    channels, skipped, stated_rate_hz = struct.unpack_from("<BHI", body, 9)
    mapping = body[18]
    if not channels or (mapping == 0 and channels > 2) or (mapping == 1 and channels > 8):
        raise _broken(
            f"its Opus header states {channels} channels, which its channel mapping does not allow"
        )
    page, packets, _ = _first_page_of_sound(file, first, header_packets=2)
    samples = sum(map(_opus_samples, packets))
    start = page.granule_position - samples
    if page.flags & _LAST and start <= 0:
        start = 0  # the last page may end early: that is how Opus states a length
    if samples == 0 or start < 0:
        raise _broken("its first audio page states fewer samples than it contains")
    # Opus can be decoded at any of its rates; libsndfile uses the lowest that loses nothing.
    rate_hz = next((rate for rate in _OPUS_RATES_HZ if stated_rate_hz <= rate), _OPUS_RATES_HZ[-1])
    # Granule positions always count at the highest rate.
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
    file: FilePart, first: _Page, header_packets: int
) -> tuple[_Page, list[bytes], bytes]:
    """Return the first page on which a packet of sound ends, its packets, and the setup's end.

    Only packets of sound that also start on that page are returned. The setup is the last header
    packet.
    """
    setup = b""
    for page in _pages(file, first):
        if page.end > file.size_bytes:
            raise _cut()
        if page.serial != first.serial:
            continue
        ends = page.packet_ends()
        starts = [0, *ends]
        if 0 < header_packets <= len(starts):
            start = starts[header_packets - 1]
            end = [*ends, page.end - page.body][header_packets - 1]
            start = max(start, end - _SETUP_TAIL_BYTES)
            setup = (setup + file.at(page.body + start, end - start))[-_SETUP_TAIL_BYTES:]
        # Decoders drop a page with a wrong checksum; here the page decides where the sound starts.
        if len(ends) > header_packets and _has_valid_checksum(file, page):
            body = file.at(page.body, page.end - page.body)
            packets = [body[start:end] for start, end in zip(starts, ends, strict=False)]
            return page, packets[max(header_packets, page.flags & _CONTINUED) :], setup
        header_packets = max(0, header_packets - len(ends))
    raise SoundError(ErrorCode.TRUNCATED, "it ends before its first audio page")


def _pages(file: FilePart, page: _Page) -> Iterator[_Page]:
    """Yield this page and the following ones; gaps between them are skipped.

    Raises SoundError: `LIMIT_EXCEEDED` or `INVALID_HEADER`.
    """
    n_gaps = 0
    for _ in range(_MAX_HEADER_PAGES):
        yield page
        following = _page_at(file, page.end)
        if following is None:
            gap = file.at(page.end, _MAX_GAP_BYTES)
            if len(gap) < _MAX_PAGE_HEADER_BYTES and b"OggS".startswith(gap[:4]):
                return
            n_gaps += 1
            following = _page_in(file, gap, page.end) if n_gaps <= _MAX_GAPS else None
        if following is None:
            raise _broken("a header page is not followed by a valid page")
        page = following
    raise SoundError(
        ErrorCode.LIMIT_EXCEEDED, f"it has more than {_MAX_HEADER_PAGES:,} pages before its sound"
    )


def _page_in(file: FilePart, content: bytes, start: int) -> _Page | None:
    """Return the first whole page in these bytes of the file."""
    at = content.find(b"OggS")
    for _ in range(_MAX_FALSE_PAGES):
        page = _page_at(file, start + at) if at >= 0 else None
        if page is not None and _has_valid_checksum(file, page):
            return page
        at = content.find(b"OggS", at + 1)
    return None


def _last_page(file: FilePart, first: _Page) -> _Page | None:
    """Return the first stream's last page with a position; None if there is none near the end."""
    for length in (_NEAR_END_BYTES, _FAR_END_BYTES):
        start = max(0, file.size_bytes - length)
        tail = file.at(start, length)
        false_pages = 0
        at = tail.rfind(b"OggS")
        while at >= 0 and false_pages < _MAX_FALSE_PAGES:
            page = _page_at(file, start + at)
            if page is not None and _has_valid_checksum(file, page):
                if page.serial == first.serial and page.granule_position != -1:
                    _require_no_cut_page(file, page)
                    return page
            else:
                false_pages += 1
            at = tail.rfind(b"OggS", 0, at)
        if start == 0:
            break
    return None


def _require_no_cut_page(file: FilePart, last: _Page) -> None:
    after = file.at(last.end, _MAX_PAGE_HEADER_BYTES)
    if not after or after[:5] != b"OggS\0"[: len(after)]:
        return
    page = _page_at(file, last.end)
    if (page is None and len(after) < _MAX_PAGE_HEADER_BYTES) or (
        page and page.end > file.size_bytes
    ):
        raise _cut()


def _page_at(file: FilePart, offset: int) -> _Page | None:
    header = file.at(offset, _MAX_PAGE_HEADER_BYTES)
    if len(header) < _PAGE_HEADER.size:
        return None
    magic, version, flags, granule, serial, _, checksum, n_lengths = _PAGE_HEADER.unpack_from(
        header
    )
    lengths = header[_PAGE_HEADER.size : _PAGE_HEADER.size + n_lengths]
    if magic != b"OggS" or version or len(lengths) < n_lengths:
        return None
    return _Page(offset, flags, granule, serial, checksum, lengths)


def checksum(page: bytes) -> int:
    """Compute the checksum of a page."""
    page = page[:22] + bytes(4) + page[26:]
    # Ogg uses zlib's polynomial, but with the bits of each byte reversed and without inversion.
    mirrored = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def _has_valid_checksum(file: FilePart, page: _Page) -> bool:
    """Whether a page is complete and its checksum is right."""
    content = file.at(page.offset, page.end - page.offset)
    return page.end <= file.size_bytes and checksum(content) == page.checksum


def _broken(reason: str) -> SoundError:
    return SoundError(ErrorCode.INVALID_HEADER, f"its OGG header cannot be read: {reason}")


def _cut() -> SoundError:
    return SoundError(ErrorCode.TRUNCATED, "it ends inside a page")
