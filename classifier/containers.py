"""Which container a file really is, told from its first bytes, before libsndfile sees any.

libsndfile understands some twenty-five containers and thirty encodings; sample packs use eight and
a dozen. Everything else is attack surface (libsndfile 1.2.2 overruns a buffer on some IMA ADPCM WAV
files, CVE-2026-37555), so containers and encodings are allow-listed here. The walk over the chunks
also finds what libsndfile forgives: a WAV or AIFF whose sound data is cut short.

All reads are bounded: one block at the start, then at most `_MAX_CHUNKS` chunk headers.
Sources: Microsoft RIFF MCI (1991) and mmreg.h; EBU Tech 3306 (RF64); Sony Wave64; Apple AIFF 1.3
and AIFF-C; RFC 9639 (FLAC); RFC 3533 (Ogg); id3.org 2.4.0; Sun audio (AU); Apple Core Audio Format.

What is not here: the numbers of a header (`classifier.headers`).
"""

import os
import re
import struct
from dataclasses import dataclass
from typing import Final

from classifier.errors import ErrorCode, SoundError

#: Read in one call; holds every chunk before the data of nearly all WAV and AIFF files.
HEAD_BYTES: Final = 4096

_MAX_CHUNKS: Final = 256
# libsndfile reads these by their own inner lengths and may then go on at another place than the
# chunk's end; one of them before `fmt ` could show it an encoding that was never checked here.
_MISLEADING_CHUNKS: Final = frozenset({b"LIST", b"acid", b"cue ", b"exif", b"smpl", b"strc"})
_UNSTATED: Final = frozenset({0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFFFFFFFFFF})
_MAX_LIST_BYTES: Final = 1 << 20
# Within `_MAX_LIST_BYTES` of 2**32, in either byte order, overlapping ones included.
_NEARLY_ALL_ONES: Final = {
    "<": re.compile(rb"(?s)(?=(..[\xef-\xff]\xff))"),
    ">": re.compile(rb"(?s)(?=(\xff[\xef-\xff]..))"),
}
_MAX_PADDING_BYTES: Final = 65536

# mmreg.h: PCM, MS ADPCM, IEEE float, A-law, mu-law, GSM 6.10.
_WAV_TAGS: Final = frozenset({0x0001, 0x0002, 0x0003, 0x0006, 0x0007, 0x0031})
_WAV_EXTENSIBLE: Final = 0xFFFE
_WAV_TAG_NAMES: Final = {0x0011: "IMA ADPCM", 0x0055: "MP3 inside WAV", 0x0161: "Windows Media"}

_AIFC_TYPES: Final = frozenset(
    {
        *(b"NONE", b"twos", b"sowt", b"raw ", b"in24", b"in32", b"42ni", b"23ni"),
        *(b"fl32", b"FL32", b"fl64", b"FL64", b"alaw", b"ALAW", b"ulaw", b"ULAW"),
    }
)

# Sun audio encodings: mu-law, 8- to 32-bit PCM, float, double, A-law.
_AU_ENCODINGS: Final = frozenset({1, 2, 3, 4, 5, 6, 7, 27})

_CAF_FORMATS: Final = frozenset({b"lpcm", b"alaw", b"ulaw", b"alac"})

_W64_RIFF: Final = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_WAVE: Final = bytes.fromhex("77617665f3acd3118cd100c04f8edb8a")
_W64_TAIL: Final = bytes.fromhex("f3acd3118cd100c04f8edb8a")

#: What people have and libsndfile does not read: named, so that they know what to convert.
_OTHERS: Final = (
    (4, b"ftyp", "MPEG-4 (m4a, mp4)"),
    (0, b"\x30\x26\xb2\x75", "Windows Media"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"MThd", "MIDI"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
)

#: The containers that are read, as a person writes them.
READABLE: Final = "WAV, AIFF, FLAC, Ogg, MP3, AU, CAF or W64"


@dataclass(frozen=True, slots=True)
class Layout:
    """What the first bytes say.

    Attributes
    ----------
    container : str
        ``WAV``, ``AIFF``, ``FLAC``, ``OGG``, ``MP3``, ``AU``, ``CAF`` or ``W64``.
    missing_bytes : int
        Sound data that the header states and the file does not have; 0 when complete or unstated.
    audio_offset_bytes : int
        Where the container starts: after an ID3 tag and its padding, else 0.
    """

    container: str
    missing_bytes: int = 0
    audio_offset_bytes: int = 0


def inspect(fd: int, size_bytes: int) -> Layout:
    """Tell a file's container and whether its sound data is all there.

    Parameters
    ----------
    fd : int
        Readable; its offset is not moved.
    size_bytes : int
        The file's size.

    Returns
    -------
    Layout

    Raises
    ------
    SoundError
        `NOT_AUDIO` or `UNSUPPORTED_FORMAT`, saying what the file is where that can be told.
    """
    head = os.pread(fd, HEAD_BYTES, 0)
    magic = head[:4]
    if magic in (b"RIFF", b"RF64", b"RIFX") and head[8:12] == b"WAVE":
        return _wav(fd, head, size_bytes, ">" if magic == b"RIFX" else "<")
    if magic == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _aiff(fd, head, size_bytes)
    if magic == b"fLaC":
        return Layout("FLAC")
    if magic == b"OggS":
        return Layout("OGG")
    if magic[:3] == b"ID3":
        return _after_id3(fd, head)
    if magic == b".snd":
        return _au(head)
    if magic == b"caff":
        return _caf(head)
    if head[:16] == _W64_RIFF and head[24:40] == _W64_WAVE:
        return _w64(fd, head, size_bytes)
    if is_mpeg_frame(head) and not _is_utf16(head):
        return Layout("MP3")
    raise _not_audio(head)


def is_mpeg_frame(head: bytes) -> bool:
    """Whether `head` starts with an MPEG audio frame header (ISO 11172-3, 2.4.1.3)."""
    return (
        len(head) >= 4
        and head[0] == 0xFF
        and head[1] & 0xE0 == 0xE0
        and head[1] & 0x18 != 0x08  # version 01 is reserved
        and head[1] & 0x06 != 0x00  # layer 00 is reserved
        and head[2] & 0xF0 != 0xF0  # bit rate 1111 is forbidden
        and head[2] & 0x0C != 0x0C  # sampling rate 11 is reserved
    )


def looks_like_audio(fd: int) -> bool:
    """Whether a file without a telling extension starts like a container that is read."""
    try:
        inspect(fd, os.fstat(fd).st_size)
    except SoundError as error:
        return error.code is ErrorCode.UNSUPPORTED_FORMAT
    return True


def _is_utf16(head: bytes) -> bool:
    """Whether `head` is Western text in UTF-16, whose first bytes are a valid MPEG frame too."""
    return head[:2] == b"\xff\xfe" and not any(head[3:16:2])


def _not_audio(head: bytes) -> SoundError:
    for offset, magic, name in _OTHERS:
        if head[offset : offset + len(magic)] == magic:
            return SoundError(ErrorCode.UNSUPPORTED_FORMAT, f"it is {name}; expected {READABLE}")
    what = "binary data"
    plain = head and all(byte in b"\t\n\r\f\x1b" or 32 <= byte < 127 for byte in head[:256])
    if plain or head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        what = "text"
    elif not any(head):
        what = "zeros"
    return SoundError(ErrorCode.NOT_AUDIO, f"it starts like {what}, not like {READABLE}")


def _wav(fd: int, head: bytes, size_bytes: int, order: str) -> Layout:
    ds64_data_bytes = 0xFFFFFFFF
    described = False
    layout = Layout("WAV")
    offset = 12
    for _ in range(_MAX_CHUNKS):
        header = _at(fd, head, offset, 8)
        if len(header) < 8:
            break
        name, length = header[:4], struct.unpack(order + "I", header[4:])[0]
        body = offset + 8
        if name == b"fmt ":
            _require_wav_tag(_at(fd, head, body, min(length, 40)), order)
            described = True
        elif name == b"ds64":
            ds64_data_bytes = _ds64_data_bytes(_at(fd, head, body, 16))
        elif not described:
            _require_harmless(name, length)
        elif name == b"data":
            length = ds64_data_bytes if length == 0xFFFFFFFF else length
            # libsndfile reads on behind the sound, so the walk does too.
            layout = Layout("WAV", _missing(body, length, size_bytes))
        elif name == b"LIST":
            _require_finite_list(fd, head, body, length, order)
        offset = body + length + length % 2
    else:
        raise _too_many_chunks()
    if not described:
        # Never left to libsndfile: what it would find elsewhere was not checked.
        raise _no_format("WAV")
    return layout


def _ds64_data_bytes(ds64: bytes) -> int:
    return struct.unpack("<Q", ds64[8:])[0] if len(ds64) == 16 else 0xFFFFFFFF


def _require_harmless(name: bytes, length: int) -> None:
    """Refuse a chunk before `fmt ` after which libsndfile may go on elsewhere than this walk."""
    unprintable = any(not 32 <= byte < 127 for byte in name)  # it looks around for another one
    if name == b"data":
        raise _no_format("WAV")
    if unprintable or name in _MISLEADING_CHUNKS or (name == b"fact" and length != 4):
        raise SoundError(
            ErrorCode.INVALID_HEADER,
            f"a chunk {name!r} of {length:,} bytes stands before its 'fmt ' chunk, where "
            "libsndfile may misread it",
        )


def _no_format(container: str) -> SoundError:
    return SoundError(
        ErrorCode.INVALID_HEADER,
        f"its {container} header has no 'fmt ' chunk where one is expected",
    )


def _too_many_chunks() -> SoundError:
    return SoundError(
        ErrorCode.LIMIT_EXCEEDED, f"it has over {_MAX_CHUNKS} chunks; no real sound does"
    )


def _require_finite_list(fd: int, head: bytes, body: int, length: int, order: str) -> None:
    """Refuse a LIST that libsndfile 1.2.2 would read for ever.

    It adds the lengths of inner chunks to its position in 32 bits: one near 2**32 leads back to a
    place before, again and again. Where it takes an inner chunk to begin depends on its own many
    rules, so such a number is looked for at every place. -1, which does occur, does no harm.
    """
    if length > _MAX_LIST_BYTES:
        raise SoundError(
            ErrorCode.LIMIT_EXCEEDED,
            f"its LIST states {length:,} bytes; at most {_MAX_LIST_BYTES:,} are read",
        )
    inner = _at(fd, head, body, length)
    for found in _NEARLY_ALL_ONES[order].finditer(inner):
        number = struct.unpack(order + "I", found[1])[0]
        if 2**32 - len(inner) - 8 <= number < 2**32 - 1:
            raise SoundError(
                ErrorCode.INVALID_HEADER,
                f"a chunk in its LIST states {number:,} bytes, with which libsndfile never ends",
            )


def _require_wav_tag(fmt: bytes, order: str) -> None:
    if len(fmt) < 2:
        return  # libsndfile refuses it with a better reason
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


def _aiff(fd: int, head: bytes, size_bytes: int) -> Layout:
    compressed = head[8:12] == b"AIFC"
    offset = 12
    layout = Layout("AIFF")
    for _ in range(_MAX_CHUNKS):
        header = _at(fd, head, offset, 8)
        if len(header) < 8:
            break
        name, length = header[:4], struct.unpack(">I", header[4:])[0]
        # libsndfile goes by the chunk's length, whatever the form calls itself.
        if name == b"COMM" and (compressed or length > 18):
            kind = _at(fd, head, offset + 26, 4)
            if len(kind) == 4 and kind not in _AIFC_TYPES:
                raise SoundError(
                    ErrorCode.UNSUPPORTED_FORMAT,
                    f"its AIFF-C compression is {kind!r}; expected PCM, float, A-law or mu-law",
                )
        elif name == b"SSND":
            # COMM may follow SSND, so the walk goes on.
            layout = Layout("AIFF", _missing(offset + 8, length, size_bytes))
        offset += 8 + length + length % 2
    else:
        raise _too_many_chunks()
    return layout


def _w64(fd: int, head: bytes, size_bytes: int) -> Layout:
    offset = 40
    layout = Layout("W64")
    for _ in range(_MAX_CHUNKS):
        header = _at(fd, head, offset, 24)
        if len(header) < 24:
            break
        length = struct.unpack("<Q", header[16:])[0]
        name = header[:4] if header[4:16] == _W64_TAIL else b""
        if name == b"fmt ":
            _require_wav_tag(_at(fd, head, offset + 24, 40), "<")
        elif offset == 40:
            raise _no_format("W64")
        elif name == b"fact" and length != 32:
            raise SoundError(
                ErrorCode.INVALID_HEADER, f"its W64 'fact' chunk has {length:,} bytes, not 32"
            )
        elif name == b"data":
            layout = Layout("W64", _missing(offset + 24, max(length - 24, 0), size_bytes))
            # libsndfile reads on behind the sound (24 bytes late) and believes a second `fmt `.
            offset += 24
        if length < 24:
            break
        offset += (length + 7) // 8 * 8
    else:
        raise _too_many_chunks()
    return layout


def _after_id3(fd: int, head: bytes) -> Layout:
    if len(head) < 10:
        raise _not_audio(head)
    # Four bytes of seven bits; a footer, when flagged, adds ten bytes.
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    footer_bytes = 10 if head[5] & 0x10 else 0
    offset = 10 + size + footer_bytes
    body = os.pread(fd, _MAX_PADDING_BYTES, offset)
    start = len(body) - len(body.lstrip(b"\0"))
    audio = body[start : start + 4]
    if audio == b"fLaC" and start == 0:
        return Layout("FLAC")
    if is_mpeg_frame(audio):
        # libsndfile, given a descriptor, looks for a frame right behind the tag and gives up on
        # padding that the tag's own size does not count, on a footer, and on an empty tag. Else it
        # is given the whole file: its estimate of a length is then the one models were trained on.
        misled = start or footer_bytes or size < 10
        return Layout("MP3", audio_offset_bytes=offset + start if misled else 0)
    raise SoundError(ErrorCode.NOT_AUDIO, "it has an ID3 tag, but neither MP3 nor FLAC follows it")


def _au(head: bytes) -> Layout:
    encoding = struct.unpack_from(">I", head, 12)[0] if len(head) >= 16 else 0
    if encoding not in _AU_ENCODINGS:
        raise SoundError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"its AU encoding is {encoding}; expected PCM, float, A-law or mu-law",
        )
    return Layout("AU")


def _caf(head: bytes) -> Layout:
    # The description chunk always comes first: 8 bytes file header, 12 chunk header, 8 rate.
    kind = head[28:32]
    if head[8:12] != b"desc" or kind not in _CAF_FORMATS:
        raise SoundError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"its CAF format is {kind!r}; expected PCM, A-law, mu-law or ALAC",
        )
    return Layout("CAF")


def _missing(body: int, length: int, size_bytes: int) -> int:
    return 0 if length in _UNSTATED else max(0, body + length - size_bytes)


def _at(fd: int, head: bytes, offset: int, length: int) -> bytes:
    """Return up to `length` bytes at `offset`, from the block at hand when it holds them."""
    if offset + length <= len(head):
        return head[offset : offset + length]
    if offset >= 1 << 62:
        return b""  # a forged length; pread would refuse it as a Python int too large
    return os.pread(fd, length, offset)
