"""Detect a file's container from its first bytes, before libsndfile reads any.

libsndfile supports some twenty-five containers and thirty encodings; sample packs use eight
containers and a dozen encodings. Everything else is attack surface (libsndfile 1.2.2 overruns a
buffer on some IMA ADPCM WAV files, CVE-2026-37555), so containers and encodings are allow-listed.

Tags may precede any container, because taggers write them there. They are not read.

Sources: id3.org 2.4.0; the APE tags specification 2.000.
"""

import os
from collections.abc import Callable
from typing import Final

from classifier.errors import ErrorCode, SoundError
from classifier.headers import aiff, caf_au, flac, midi, mpeg, ogg, riff
from classifier.headers.layout import FilePart, Layout

#: Maximum number of zeros after a tag; the stated length of some tags does not include them.
_MAX_PADDING_BYTES: Final = 65536
#: Maximum number of tags before a sound; real files have fewer.
_MAX_TAGS: Final = 16

#: Offset, magic number and name of unsupported formats, including some that libsndfile reads.
#: Messages name the format, so that users know what to convert.
_UNSUPPORTED: Final = (
    (4, b"ftyp", "MPEG-4 (m4a, mp4)"),
    (0, b"\x30\x26\xb2\x75", "Windows Media"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"PK\x03\x04", "ZIP"),
    (0, b"Rar!", "RAR"),
    (0, b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
    (0, b"#!AMR", "AMR"),
    (0, b"DSD ", "DSD"),
    (0, b"TTA1", "True Audio"),
    (8, b"8SVX", "Amiga 8SVX"),
    (8, b"16SV", "Amiga 16SV"),
    (0, b"Creative Voice File", "Creative VOC"),
    (0, b"NIST_1A", "NIST SPHERE"),
    *((0, b"\x64\xa3" + bytes([machine, 0]), "IRCAM") for machine in (1, 2, 3)),
    (0, b"PVF1", "Portable Voice Format"),
    (0, b"2BIT", "Audio Visual Research"),
    (0, b" paf", "Ensoniq PARIS"),
    (0, b"fap ", "Ensoniq PARIS"),
    (0, b"\xf0\x7e\0\1", "MIDI Sample Dump"),
)

_READERS: Final[dict[bytes, Callable[[FilePart], Layout]]] = {
    b"fLaC": flac.flac,
    b"OggS": ogg.ogg,
    b".snd": caf_au.au,
    b"dns.": caf_au.au,
    b"caff": caf_au.caf,
    b"MThd": midi.midi,
}

#: The containers that are read, for messages.
READABLE: Final = "WAV, AIFF, FLAC, Ogg, MP3, AU, CAF, W64 or MIDI"


def inspect(fd: int, size_bytes: int) -> Layout:
    """Detect a file's container and read its layout. The offset of `fd` is not moved.

    Raises SoundError: `NOT_AUDIO` or `UNSUPPORTED_FORMAT`, with the name of the format if it is
    known; also the errors of the container's reader.
    """
    file = _past_tags(FilePart(fd, 0, size_bytes))
    head = file.head
    magic, form = head[:4], head[8:12]
    if magic in _READERS:
        return _READERS[magic](file)
    if magic in (b"RIFF", b"RF64", b"BW64", b"RIFX") and form == b"WAVE":
        return riff.wav(file)
    if magic == b"RIFF" and form == b"RMID":
        return riff.rmid(file)
    if magic == b"FORM" and form in (b"AIFF", b"AIFC"):
        return aiff.aiff(file)
    if head[:16] == riff.W64_RIFF and head[24:40] == riff.W64_WAVE:
        return riff.w64(file)
    for offset, magic_number, name in _UNSUPPORTED:
        if head[offset:].startswith(magic_number):
            raise SoundError(
                ErrorCode.UNSUPPORTED_FORMAT, f"its format is {name}; expected {READABLE}"
            )
    if layout := mpeg.mpeg(file):
        return layout
    if file.start:
        raise SoundError(ErrorCode.NOT_AUDIO, f"no sound follows its tag; expected {READABLE}")
    raise _not_audio(head)


def looks_like_audio(fd: int) -> bool:
    """Whether a file without a known extension starts like a supported container."""
    try:
        inspect(fd, os.fstat(fd).st_size)
    except SoundError as error:
        # A broken WAV is reported to the user; a text file is skipped.
        return error.code is not ErrorCode.NOT_AUDIO
    return True


def _not_audio(head: bytes) -> SoundError:
    content = "binary data"
    plain = head and all(byte in b"\t\n\r\f\x1b" or 32 <= byte < 127 for byte in head[:256])
    if plain or head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        content = "text"
    elif not any(head):
        content = "zeros"
    return SoundError(ErrorCode.NOT_AUDIO, f"its first bytes are {content}; expected {READABLE}")


def _past_tags(file: FilePart) -> FilePart:
    """Return the part of a file after the tags at its start; the file itself if there are none."""
    for _ in range(_MAX_TAGS):
        length = _tag_bytes(file.head)
        if not length:
            break
        file = file.after(length)
        if file.head[:1] == b"\0":
            padding = file.at(0, _MAX_PADDING_BYTES)
            file = file.after(len(padding) - len(padding.lstrip(b"\0")))
    return file


def _tag_bytes(head: bytes) -> int:
    """Return the length of the ID3v2 or APE tag at the start of `head`; 0 if there is none."""
    if head[:3] == b"ID3" and len(head) >= 10 and max(head[6:10]) < 0x80:
        # The length has four bytes of seven bits each; a footer, if flagged, adds ten bytes.
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        return 10 + size + (10 if head[5] & 0x10 else 0)
    if head[:8] == b"APETAGEX" and len(head) >= 32:
        return 32 + int.from_bytes(head[12:16], "little")
    return 0
