"""WAV, AIFF, W64, CAF and AU: finding the format and the extent of the sound in a file.

libsndfile reads a dozen kinds of chunks by rules of its own, and 1.2.2 can be led astray in them:
a WAV of 120 bytes makes it read for ever, and a chunk with a false length can show it an encoding
that was never checked. So libsndfile is not shown these files. It is shown a *stand-in*: the format
and the length of the sound, copied from a walk of our own into a plain header, and nothing else.
Titles, loops and broadcast data never reach it; what they say of tempo and key is read by
`classifier.headers.loop_metadata`.

The walk is bounded (`_MAX_CHUNKS` chunk headers) and finds what libsndfile forgives: sound data
that is cut short. Sources: Microsoft RIFF MCI (1991) and mmreg.h; EBU Tech 3306 (RF64); Sony
Wave64; Apple AIFF 1.3 and AIFF-C; Apple Core Audio Format 1.0; Sun audio.
"""

import struct
from collections.abc import Set
from typing import Final

from classifier.errors import ErrorCode, SoundError
from classifier.headers import loop_metadata
from classifier.headers.layout import Extent, Layout, Numbers, StandIn, bytes_at

_MAX_CHUNKS: Final = 256

# mmreg.h: PCM, MS ADPCM, IEEE float, A-law, mu-law, GSM 6.10.
_WAV_TAGS: Final = frozenset({0x0001, 0x0002, 0x0003, 0x0006, 0x0007, 0x0031})
_WAV_EXTENSIBLE: Final = 0xFFFE
_WAV_TAG_NAMES: Final = {0x0011: "IMA ADPCM", 0x0055: "MP3 inside WAV", 0x0161: "Windows Media"}
#: MS ADPCM with its seven pairs of coefficients, the longest format that is read.
_MAX_FORMAT_BYTES: Final = 50

#: Tag and bits of a sample, and what libsndfile calls them.
_PLAIN_TYPES: Final = {
    (0x0001, 8): "PCM_U8",
    (0x0001, 16): "PCM_16",
    (0x0001, 24): "PCM_24",
    (0x0001, 32): "PCM_32",
    (0x0003, 32): "FLOAT",
    (0x0003, 64): "DOUBLE",
}
_MOST_PLAIN_CHANNELS: Final = 8
_HIGHEST_PLAIN_RATE_HZ: Final = 192_000

_AIFC_TYPES: Final = frozenset(
    {
        *(b"NONE", b"twos", b"sowt", b"raw ", b"in24", b"in32", b"42ni", b"23ni"),
        *(b"fl32", b"FL32", b"fl64", b"FL64", b"alaw", b"ALAW", b"ulaw", b"ULAW"),
    }
)
#: A COMM chunk of plain AIFF; AIFF-C adds a type of four bytes and its name.
_PLAIN_COMM_BYTES: Final = 18
_AIFC_COMM_BYTES: Final = 22
#: What its 32 bits can state, less its header.
_MAX_AIFF_SOUND_BYTES: Final = 2**32 - 2**10

_CAF_FORMATS: Final = frozenset({b"lpcm", b"alaw", b"ulaw", b"alac"})
_CAF_DESCRIPTION_BYTES: Final = 32
_CAF_UNKNOWN: Final = 0xFFFFFFFFFFFFFFFF
_ALAC_BITS: Final = {1: 16, 2: 20, 3: 24, 4: 32}

# Sun audio encodings: mu-law, 8- to 32-bit PCM, float, double, A-law.
_AU_ENCODINGS: Final = frozenset({1, 2, 3, 4, 5, 6, 7, 27})
_AU_HEADER_BYTES: Final = 24

W64_RIFF: Final = bytes.fromhex("726966662e91cf11a5d628db04c10000")
W64_WAVE: Final = bytes.fromhex("77617665f3acd3118cd100c04f8edb8a")
_W64_TAIL: Final = bytes.fromhex("f3acd3118cd100c04f8edb8a")


class _Hints:
    """The beginnings of chunks that `classifier.headers.loop_metadata` reads, as a walk meets them.

    Parameters
    ----------
    head : bytes
        The file's first block.
    order : str
        ``<`` or ``>``.
    names : set of bytes
        Of the chunks to keep; the first of each name is.
    """

    def __init__(self, fd: int, head: bytes, order: str, names: Set[bytes]) -> None:
        self._fd = fd
        self._head = head
        self._order = order
        self._names = names
        self.bodies: dict[bytes, bytes] = {}

    def note(self, name: bytes, body: int, length: int) -> None:
        """Keep this chunk, if it is one of those."""
        if name in self._names:
            hint = bytes_at(self._fd, self._head, body, min(length, loop_metadata.MOST_BYTES))
            # LIST chunks are of several kinds, which their first four bytes name.
            self.bodies.setdefault(hint[:4] if name == b"LIST" else name, hint)

    def note_behind(self, offset: int, size_bytes: int) -> None:
        """Walk on behind the sound; most files end there, and nothing is read of them."""
        for _ in range(_MAX_CHUNKS):
            if offset + 8 > size_bytes:
                return
            chunk = bytes_at(self._fd, self._head, offset, 8)
            if len(chunk) < 8:
                return
            length = struct.unpack(self._order + "I", chunk[4:])[0]
            self.note(chunk[:4], offset + 8, length)
            offset += 8 + length + length % 2


def wav(fd: int, head: bytes, size_bytes: int) -> Layout:
    """Read the layout of a RIFF, RIFX or RF64 WAVE file.

    Parameters
    ----------
    head : bytes
        The file's first block.

    Raises
    ------
    SoundError
        `INVALID_HEADER`, `UNSUPPORTED_FORMAT` or `LIMIT_EXCEEDED`.
    """
    order = ">" if head[:4] == b"RIFX" else "<"
    ds64_bytes = 0xFFFFFFFF
    fmt = fact = b""
    extent = None
    hints = _Hints(fd, head, order, loop_metadata.OF_WAV)
    offset = 12
    for _ in range(_MAX_CHUNKS):
        if fmt and extent is not None:
            break
        chunk = bytes_at(fd, head, offset, 8)
        if len(chunk) < 8:
            break
        name, length = chunk[:4], struct.unpack(order + "I", chunk[4:])[0]
        body = offset + 8
        hints.note(name, body, length)
        if name == b"fmt " and not fmt:
            fmt = bytes_at(fd, head, body, min(length, _MAX_FORMAT_BYTES))
        elif name == b"fact" and length == 4:
            fact = bytes_at(fd, head, body, 4)
        elif name == b"ds64":
            ds64 = bytes_at(fd, head, body, 16)
            ds64_bytes = struct.unpack("<Q", ds64[8:])[0] if len(ds64) == 16 else ds64_bytes
        elif name == b"data" and extent is None:
            length = ds64_bytes if length == 0xFFFFFFFF else length
            extent = Extent.of(body, length, size_bytes)
        offset = body + length + length % 2
    else:
        raise _too_many_chunks()
    _require_format(fmt, "WAV", order)
    if extent is None:
        raise _no_chunk("WAV", "data")
    hints.note_behind(max(offset, extent.end), size_bytes)
    numbers = _plain_numbers(fmt, extent.there, order)
    return Layout(
        "WAV",
        extent.missing,
        # Whose numbers are known is not shown to anybody.
        stand_in=_plain_wav(fmt, fact, extent.there, order) if numbers is None else None,
        numbers=numbers,
        loop_info=loop_metadata.of_wav(hints.bodies, order),
    )


def _plain_numbers(fmt: bytes, sound_bytes: int, order: str) -> Numbers | None:
    """Return the numbers of a format without corners, None for all others: libsndfile knows those.

    Nearly all sounds are such, and asking libsndfile costs more than all else of their header. That
    it would say the same is held by a test.
    """
    if order != "<" or len(fmt) not in (16, 18):
        return None
    tag, channels, rate_hz, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", fmt)
    sample_type = _PLAIN_TYPES.get((tag, bits))
    if (
        sample_type is None
        or not 0 < channels <= _MOST_PLAIN_CHANNELS
        or not 0 < rate_hz <= _HIGHEST_PLAIN_RATE_HZ
        or frame_bytes != channels * bits // 8
    ):
        return None
    return Numbers(rate_hz, channels, sound_bytes // frame_bytes, sample_type)


def _plain_wav(fmt: bytes, fact: bytes, sound_bytes: int, order: str) -> StandIn:
    chunks = _chunk(b"fmt ", fmt, order)
    if len(fact) == 4:
        chunks += _chunk(b"fact", fact, order)
    length = 4 + len(chunks) + 8 + sound_bytes
    if length < 0xFFFFFFF0:
        riff = b"RIFX" if order == ">" else b"RIFF"
        start = riff + struct.pack(order + "I", length) + b"WAVE"
        data = b"data" + struct.pack(order + "I", sound_bytes)
    else:
        sizes = struct.pack("<QQQI", length + 36, sound_bytes, 0, 0)
        start = b"RF64\xff\xff\xff\xffWAVE" + _chunk(b"ds64", sizes, "<")
        data = b"data\xff\xff\xff\xff"
    return StandIn(start + chunks + data, sound_bytes)


def aiff(fd: int, head: bytes, size_bytes: int) -> Layout:
    """Read the layout of an AIFF or AIFF-C file; as `wav`."""
    comm = b""
    extent = None
    hints = _Hints(fd, head, ">", loop_metadata.OF_AIFF)
    offset = 12
    for _ in range(_MAX_CHUNKS):
        chunk = bytes_at(fd, head, offset, 8)
        if len(chunk) < 8 or (comm and extent is not None):
            break
        name, length = chunk[:4], struct.unpack(">I", chunk[4:])[0]
        hints.note(name, offset + 8, length)
        if name == b"COMM" and not comm:
            comm = bytes_at(fd, head, offset + 8, min(length, _AIFC_COMM_BYTES))
        elif name == b"SSND" and extent is None:
            # The chunk's first eight bytes are an offset and a block size, not sound.
            extent = Extent.of(offset + 16, max(0, length - 8), size_bytes)
        offset += 8 + length + length % 2
    else:
        raise _too_many_chunks()
    if len(comm) < _PLAIN_COMM_BYTES:
        raise _no_chunk("AIFF", "COMM")
    if extent is None:
        raise _no_chunk("AIFF", "SSND")
    compressed = head[8:12] == b"AIFC" and len(comm) == _AIFC_COMM_BYTES
    if compressed and comm[18:22] not in _AIFC_TYPES:
        raise SoundError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"its AIFF-C compression is {comm[18:22]!r}; expected PCM, float, A-law or mu-law",
        )
    if extent.there > _MAX_AIFF_SOUND_BYTES:
        raise SoundError(
            ErrorCode.LIMIT_EXCEEDED,
            f"its AIFF header states no length and {extent.there:,} bytes follow; an AIFF has at "
            f"most {_MAX_AIFF_SOUND_BYTES:,} bytes of sound",
        )
    # An empty name for the type: one length byte and one to make it even.
    comm = comm + b"\0\0" if compressed else comm[:_PLAIN_COMM_BYTES]
    chunks = _chunk(b"COMM", comm, ">")
    chunks += b"SSND" + struct.pack(">III", 8 + extent.there, 0, 0)
    form = b"AIFC" if compressed else b"AIFF"
    start = b"FORM" + struct.pack(">I", 4 + len(chunks) + extent.there) + form
    hints.note_behind(max(offset, extent.end), size_bytes)
    stand_in = StandIn(start + chunks, extent.there)
    info = loop_metadata.of_aiff(hints.bodies)
    return Layout("AIFF", extent.missing, stand_in=stand_in, loop_info=info)


def w64(fd: int, head: bytes, size_bytes: int) -> Layout:
    """Read the layout of a Sony Wave64 file; as `wav`."""
    fmt = b""
    extent = None
    offset = 40
    for _ in range(_MAX_CHUNKS):
        chunk = bytes_at(fd, head, offset, 24)
        if len(chunk) < 24 or (fmt and extent is not None):
            break
        length = struct.unpack("<Q", chunk[16:])[0]
        name = chunk[:4] if chunk[4:16] == _W64_TAIL else b""
        if name == b"fmt " and not fmt:
            fmt = bytes_at(fd, head, offset + 24, min(max(0, length - 24), _MAX_FORMAT_BYTES))
        elif name == b"data" and extent is None:
            extent = Extent.of(offset + 24, max(0, length - 24), size_bytes)
        if length < 24:
            break
        offset += (length + 7) // 8 * 8
    else:
        raise _too_many_chunks()
    _require_format(fmt, "W64", "<")
    if extent is None:
        raise _no_chunk("W64", "data")
    chunks = b"fmt " + _W64_TAIL + struct.pack("<Q", 24 + len(fmt)) + fmt + b"\0" * (-len(fmt) % 8)
    chunks += b"data" + _W64_TAIL + struct.pack("<Q", 24 + extent.there)
    start = W64_RIFF + struct.pack("<Q", 40 + len(chunks) + extent.there) + W64_WAVE
    return Layout("W64", extent.missing, stand_in=StandIn(start + chunks, extent.there))


def caf(fd: int, head: bytes, size_bytes: int) -> Layout:
    """Read the layout of a Core Audio file; as `wav`."""
    # The description always comes first: 8 bytes file header, 12 chunk header.
    description = head[20 : 20 + _CAF_DESCRIPTION_BYTES]
    if head[8:12] != b"desc" or len(description) < _CAF_DESCRIPTION_BYTES:
        raise _no_chunk("CAF", "desc")
    kind = description[8:12]
    if kind not in _CAF_FORMATS:
        raise SoundError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"its CAF format is {kind!r}; expected PCM, A-law, mu-law or ALAC",
        )
    numbers = None
    extent = None
    offset = 8
    for _ in range(_MAX_CHUNKS):
        chunk = bytes_at(fd, head, offset, 12)
        if len(chunk) < 12 or (extent is not None and (kind != b"alac" or numbers is not None)):
            break
        name, length = chunk[:4], struct.unpack(">Q", chunk[4:])[0]
        body = offset + 12
        if name == b"data" and extent is None:
            # The first four bytes count edits and are not sound.
            stated = length if length == _CAF_UNKNOWN else max(0, length - 4)
            measure = Extent.of if length == _CAF_UNKNOWN else Extent.exactly
            extent = measure(body + 4, stated, size_bytes)
        elif name == b"pakt" and kind == b"alac":
            numbers = _alac_numbers(description, bytes_at(fd, head, body, min(length, 16)))
        offset = body + length
    else:
        raise _too_many_chunks()
    if extent is None:
        raise _no_chunk("CAF", "data")
    if kind == b"alac" and numbers is None:
        raise _no_chunk("CAF", "pakt")
    start = b"caff" + struct.pack(">HH", 1, 0) + _caf_chunk(b"desc", description)
    start += b"data" + struct.pack(">QI", 4 + extent.there, 0)
    stand_in = StandIn(start, extent.there)
    return Layout("CAF", extent.missing, stand_in=stand_in, numbers=numbers)


def _alac_numbers(description: bytes, packets: bytes) -> Numbers:
    """Return the numbers of Apple's lossless codec, whose chunk of packets counts the frames.

    libsndfile counts them by decoding the last packet, and a decoder is what hostile files aim at.
    """
    rate_hz, _, flags, _, _, channels = struct.unpack_from(">d4sIIII", description)
    if len(packets) < 16 or flags not in _ALAC_BITS or not 0 < rate_hz < 2**31:
        raise SoundError(ErrorCode.INVALID_HEADER, "its CAF header states no numbers of ALAC")
    n_frames = struct.unpack_from(">q", packets, 8)[0]
    return Numbers(round(rate_hz), channels, max(0, n_frames), f"ALAC_{_ALAC_BITS[flags]}")


def _caf_chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack(">Q", len(body)) + body


def au(head: bytes, size_bytes: int) -> Layout:
    """Read the layout of a Sun audio file; as `wav`."""
    if len(head) < _AU_HEADER_BYTES:
        raise SoundError(ErrorCode.INVALID_HEADER, "its AU header is not whole")
    body, stated, encoding = struct.unpack_from(">III", head, 4)
    if encoding not in _AU_ENCODINGS:
        raise SoundError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"its AU encoding is {encoding}; expected PCM, float, A-law or mu-law",
        )
    if body < _AU_HEADER_BYTES:
        raise SoundError(ErrorCode.INVALID_HEADER, "its AU header says that it ends before it does")
    extent = Extent.of(body, stated, size_bytes)
    # A length of all ones is as long as the file, also where 32 bits would not be enough.
    start = b".snd" + struct.pack(">II", _AU_HEADER_BYTES, 0xFFFFFFFF)
    stand_in = StandIn(start + head[12:_AU_HEADER_BYTES], extent.there)
    return Layout("AU", extent.missing, stand_in=stand_in)


def _require_format(fmt: bytes, container: str, order: str) -> None:
    if len(fmt) < 2:
        raise _no_chunk(container, "fmt ")
    tag = struct.unpack_from(order + "H", fmt)[0]
    if tag == _WAV_EXTENSIBLE and len(fmt) >= 26:
        tag = struct.unpack_from(order + "H", fmt, 24)[0]
    if tag not in _WAV_TAGS:
        name = _WAV_TAG_NAMES.get(tag, "an encoding that is not read")
        raise SoundError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"its WAV format tag is 0x{tag:04x} ({name}); expected PCM, float, A-law, mu-law, "
            "MS ADPCM or GSM 6.10",
        )


def _no_chunk(container: str, name: str) -> SoundError:
    return SoundError(
        ErrorCode.INVALID_HEADER, f"its {container} header has no whole '{name}' chunk"
    )


def _too_many_chunks() -> SoundError:
    return SoundError(
        ErrorCode.LIMIT_EXCEEDED, f"it has over {_MAX_CHUNKS} chunks; no real sound does"
    )


def _chunk(name: bytes, body: bytes, order: str) -> bytes:
    return name + struct.pack(order + "I", len(body)) + body + b"\0" * (len(body) % 2)
