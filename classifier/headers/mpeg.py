"""MP3 (MPEG-1, 2 and 2.5 audio, layers I to III): find frames and count them by their headers.

An MP3 has no file header. It is a chain of frames, each with a header of four bytes that gives the
frame's length; other data may come before, between and after frames. The first frame may hold a
frame count instead of sound (Xing, Info or VBRI). Editors leave an outdated count in place, so it
is compared with the file. In files without a count the frames are walked, in very long ones only
parts. Nothing is decoded (decision 31).

Sources: ISO 11172-3 2.4.1.3 and 13818-3; the LAME tag, revision 1; libmpg123 1.32, for the samples
that a decoder drops at both ends.
"""

import functools
import re
import struct
from collections.abc import Mapping
from itertools import islice
from typing import Final, NamedTuple

from classifier.headers.layout import FilePart, Layout, StreamInfo

#: How far the first frame is searched for; libmpg123 has the same limit.
_MAX_JUNK_BYTES: Final = 65536
#: Consecutive frame headers required where a frame is expected, and where one is searched for.
_EXPECTED_CHAIN, _SEARCHED_CHAIN = 2, 3
#: Longer than any such chain of frames.
_CHAIN_BYTES: Final = 16384
#: Minimum and maximum length of a free-format frame; libmpg123 accepts no longer ones.
_FREE_FRAME_BYTES: Final = (24, 4608)
#: Maximum number of false headers in a block, and in a frame: each one costs a check of what
#: follows it.
_MAX_FALSE_HEADERS, _MAX_FALSE_HEADERS_OF_FRAME = 128, 16

_BLOCK_BYTES: Final = 65536
#: In files up to this size the frames are counted even if a header states their count.
_ALWAYS_COUNTED_BYTES: Final = 65536
#: Frames are counted one by one in this many bytes; the second value applies if the bit rate of the
#: rest varies.
_COUNTED_BYTES: Final = (1 << 20, 8 << 20)
_PARTS: Final = 16
_PART_BYTES: Final = 8192
#: Accepted relative difference of a stated count from a counted one, and from an estimated one.
_TOLERANCE: Final = 0.01
_ESTIMATE_TOLERANCE: Final = 0.05

_MPEG_1, _MPEG_2, _MPEG_2_5 = 0x18, 0x10, 0x00
_LAYER_1, _LAYER_2, _LAYER_3 = 0x06, 0x04, 0x02
_SAMPLE_TYPES: Final = {
    _LAYER_1: "MPEG_LAYER_I",
    _LAYER_2: "MPEG_LAYER_II",
    _LAYER_3: "MPEG_LAYER_III",
}
_MPEG_1_RATES_HZ: Final = (44100, 48000, 32000)
_KBIT_PER_SECOND: Final = {
    (True, _LAYER_1): tuple(range(32, 449, 32)),
    (True, _LAYER_2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, _LAYER_3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, _LAYER_1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, _LAYER_2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, _LAYER_3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_PADDED: Final = 0x02
_MONO: Final = 0xC0
#: First byte of a header whose next two bytes state no reserved version, layer, bit rate or sample
#: rate.
_HEADER: Final = re.compile(
    b"\xff(?=[\xe2-\xe7\xf2-\xf7\xfa-\xff][%b])"
    % b"".join(re.escape(bytes([byte])) for byte in range(0xF0) if byte & 0x0C != 0x0C)
)
#: libmpg123's own delay, which it drops together with the encoder's.
_DECODER_DELAY: Final = 529


class _Stream(NamedTuple):
    """Properties that all frames of a stream share."""

    layer: int
    rate_hz: int
    frame_samples: int
    #: Frame length in bytes, by the first three bytes of the header.
    lengths: Mapping[bytes, int]

    @property
    def slot_bytes(self) -> int:
        """The unit in bytes of a frame's length and of its padding."""
        return 4 if self.layer == _LAYER_1 else 1

    def samples(self, n_frames: int, rate_hz: int) -> int:
        """Return the sample count of `n_frames` frames, converted to the sample rate `rate_hz`."""
        return n_frames * self.frame_samples * rate_hz // self.rate_hz


@functools.cache
def _stream(version_and_layer: int, rate: int) -> _Stream:
    """Return the stream for the version, layer and sample rate bits of a frame header."""
    version, layer = version_and_layer & 0x18, version_and_layer & 0x06
    rate_hz = _MPEG_1_RATES_HZ[rate >> 2] >> (_MPEG_1, _MPEG_2, _MPEG_2_5).index(version)
    samples = (
        384 if layer == _LAYER_1 else 576 if layer == _LAYER_3 and version != _MPEG_1 else 1152
    )
    stream = _Stream(layer, rate_hz, samples, {})
    lengths: dict[bytes, int] = {}
    for number, kbit in enumerate(_KBIT_PER_SECOND[version == _MPEG_1, layer], 1):
        slots = samples * kbit * 125 // (rate_hz * stream.slot_bytes)
        header = bytes((0xFF, 0xE0 | version_and_layer, number << 4 | rate))
        lengths |= _lengths(header, slots * stream.slot_bytes, stream)
    return stream._replace(lengths=lengths)


def _lengths(header: bytes, unpadded: int, stream: _Stream) -> dict[bytes, int]:
    """Return frame lengths for all headers that differ from this only in padding or free bits."""
    second, third = header[1] & ~0x01, header[2] & ~(_PADDED | 0x01)
    return {
        bytes((0xFF, second | unprotected, third | padded | private)): length
        for unprotected in (0, 1)
        for private in (0, 1)
        for padded, length in ((0, unpadded), (_PADDED, unpadded + stream.slot_bytes))
    }


class _StatedCount(NamedTuple):
    """What the first frame states about the others; 0 where it states nothing."""

    own_bytes: int = 0  #: of the frame itself; 0 if decoders play it as sound
    frames: int = 0
    n_bytes: int = 0  #: of all frames, including this one
    #: Samples that a decoder drops at both ends, because they are delay or padding.
    first_dropped: int = 0
    last_dropped: int = 0

    def without_dropped(self, samples: int, missing: int) -> int:
        """Subtract the dropped samples; `samples` already lacks `missing` ones at the end."""
        return max(0, samples - self.first_dropped - max(0, self.last_dropped - missing))


class _Count(NamedTuple):
    """Result of a walk over frames."""

    samples: int  #: per channel, at the rate of the first frame
    headers: set[bytes]  #: the distinct ones, three bytes of each
    end: int | None  #: where the walk stopped; None: at the file's end
    doubt: str | None  #: why other programs may count a frame more or less


def mpeg(file: FilePart) -> Layout | None:
    """Read the layout of an MP3; None if no frame is found at the start."""
    block, match = file.head, _find(file.head, 0, 1, _EXPECTED_CHAIN)
    if match is None:
        block = file.at(0, _MAX_JUNK_BYTES + _CHAIN_BYTES)
        match = _find(block, 0, _MAX_JUNK_BYTES, _SEARCHED_CHAIN)
    if match is None:
        return None
    index, stream = match
    length = stream.lengths[block[index : index + 3]]
    channels = 1 if block[index + 3] & _MONO == _MONO else 2
    stated = _stated_count(block[index : index + length])
    samples, note = _length(file, index, stream, stated)
    info = StreamInfo(stream.rate_hz, channels, samples, _SAMPLE_TYPES[stream.layer])
    return Layout("MP3", info, note=note)


def _find(block: bytes, start: int, stop: int, chain: int) -> tuple[int, _Stream] | None:
    """Return index and stream of the first chain of frames that starts from `start` to `stop`."""
    for match in islice(_HEADER.finditer(block, start), _MAX_FALSE_HEADERS):
        index = match.start()
        if index >= stop:
            return None
        stream = _stream(block[index + 1] & 0x1E, block[index + 2] & 0x0C)
        if not block[index + 2] & 0xF0:
            stream = _free_format(block, index, stream)
        following = index
        for _ in range(chain):
            length = stream.lengths.get(block[following : following + 3])
            if length is None:
                break
            following += length
        else:
            return index, stream
    return None


def _free_format(block: bytes, index: int, stream: _Stream) -> _Stream:
    """Find the frame length of a free-format stream, whose headers do not state a bit rate."""
    header = block[index : index + 3]
    shortest, longest = _FREE_FRAME_BYTES
    following = _HEADER.finditer(block, index + shortest, index + longest)
    for match in islice(following, _MAX_FALSE_HEADERS_OF_FRAME):
        length = match.start() - index - (stream.slot_bytes if header[2] & _PADDED else 0)
        lengths = _lengths(header, length, stream)
        if block[match.start() : match.start() + 3] in lengths:
            return stream._replace(lengths=lengths)
    return stream


def _stated_count(frame: bytes) -> _StatedCount:
    padded = frame.ljust(256, b"\0")
    if padded[36:40] == b"VBRI":
        n_bytes, frames = struct.unpack_from(">II", padded, 46)
        return _StatedCount(0, frames, n_bytes)
    # The tag follows 4 bytes of header, an optional checksum of 2, and 9 to 32 of side information.
    match = re.search(b"Xing|Info", padded[13:42])
    if match is None:
        return _StatedCount()
    offset = 13 + match.end()
    (flags,) = struct.unpack_from(">I", padded, offset)
    values = [0, 0]
    for number in range(2):
        if flags & 1 << number:
            offset += 4
            (values[number],) = struct.unpack_from(">I", padded, offset)
    offset += 4 + (100 if flags & 4 else 0) + (4 if flags & 8 else 0)
    frames, n_bytes = values
    # A LAME tag may follow: 9 bytes of encoder name, 12 of other fields, and two 12-bit numbers.
    delays = int.from_bytes(padded[offset + 21 : offset + 24], "big")
    first = (delays >> 12) + _DECODER_DELAY
    last = max(0, (delays & 0xFFF) - _DECODER_DELAY)
    return _StatedCount(len(frame), frames, n_bytes, first, last)


def _length(
    file: FilePart, start: int, stream: _Stream, stated: _StatedCount
) -> tuple[int, str | None]:
    """Return the sample count from the first frame on, and a note if it is uncertain."""
    left = file.size_bytes - start
    in_header = stated.frames * stream.frame_samples
    if (
        in_header
        and left > _ALWAYS_COUNTED_BYTES
        and abs(stated.n_bytes - left) <= _TOLERANCE * left
    ):
        return stated.without_dropped(in_header, missing=0), None
    samples, is_exact, note = _samples(file, start + stated.own_bytes, stream)
    if in_header:
        difference = abs(in_header - samples)
        tolerance = _TOLERANCE if is_exact else _ESTIMATE_TOLERANCE
        if difference > max(stream.frame_samples, tolerance * samples):
            note = (
                f"its header states {in_header / stream.rate_hz:,.2f} s of sound, "
                f"but it contains {'' if is_exact else 'about '}{samples / stream.rate_hz:,.2f} s"
            )
        elif not is_exact:
            samples, difference, note = in_header, 0, None
        samples = stated.without_dropped(samples, missing=difference)
    return samples, note


def _samples(file: FilePart, offset: int, stream: _Stream) -> tuple[int, bool, str | None]:
    """Return the sample count from `offset` on, whether it is exact, and a note."""
    for n_bytes in _COUNTED_BYTES:
        count = _count(file, offset, offset + n_bytes, stream)
        if count.end is None:
            return count.samples, True, count.doubt
        samples, is_constant = _estimate(file, count, count.end, stream)
        if is_constant:
            return samples, True, count.doubt
    return samples, False, "its length is an estimate: only parts of the file were read"


def _count(file: FilePart, offset: int, stop: int, stream: _Stream) -> _Count:
    """Count frames up to `stop` or a little further."""
    samples = 0
    headers: set[bytes] = set()
    doubt = None
    current: _Stream | None = stream
    while offset < stop:
        block = file.at(offset, _BLOCK_BYTES + _CHAIN_BYTES)
        index = 0
        while True:
            if current is None:
                match = _find(block, index, _BLOCK_BYTES, _SEARCHED_CHAIN)
                if match is None:
                    index = max(index, min(len(block), _BLOCK_BYTES))
                    break
                index, current = match
                doubt = "other data is between its frames"
            index, n_frames = _walk(block, index, current, headers)
            samples += current.samples(n_frames, stream.rate_hz)
            if index + 3 > len(block):
                break
            current = None
        if len(block) < _BLOCK_BYTES + _CHAIN_BYTES:  # the file's end
            if current and index > len(block):
                samples -= current.samples(1, stream.rate_hz)
                doubt = "its last frame is incomplete"
            return _Count(samples, headers, None, doubt)
        offset += index
    return _Count(samples, headers, offset, doubt)


def _walk(block: bytes, index: int, stream: _Stream, headers: set[bytes]) -> tuple[int, int]:
    """Walk a chain of frames; return where it ends and how many frames it has."""
    n_frames = 0
    lengths = stream.lengths
    while length := lengths.get(header := block[index : index + 3]):
        headers.add(header)
        index += length
        n_frames += 1
    return index, n_frames


def _estimate(file: FilePart, count: _Count, start: int, stream: _Stream) -> tuple[int, bool]:
    """Estimate the sample count from parts of a file, and whether these have one bit rate."""
    samples = float(count.samples)
    headers = set(count.headers)
    is_constant = True
    part_bytes = (file.size_bytes - start) / _PARTS
    for number in range(_PARTS):
        block = file.at(file.size_bytes - _PART_BYTES - int(number * part_bytes), _PART_BYTES)
        match = _find(block, 0, len(block), _SEARCHED_CHAIN)
        if match is None:
            is_constant = False
            continue
        start, current = match
        end, n_frames = _walk(block, start, current, headers)
        samples += current.samples(n_frames, stream.rate_hz) * part_bytes / (end - start)
    n_rates = len({(header[1] & ~0x01, header[2] & ~(_PADDED | 0x01)) for header in headers})
    return int(samples), is_constant and n_rates == 1
