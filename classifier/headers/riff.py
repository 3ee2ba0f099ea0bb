"""WAV (RIFF, RIFX, RF64) and W64: find the format and the extent of the sound in the chunks.

Sources: Microsoft RIFF MCI (1991) and mmreg.h; EBU Tech 3306 (RF64); Sony Wave64.
"""

import struct
from typing import Final

from classifier.errors import ErrorCode, SoundError
from classifier.headers import loop_metadata, midi, mpeg
from classifier.headers.chunks import (
    BIG_ENDIAN,
    LITTLE_ENDIAN,
    Extent,
    LoopChunks,
    after_chunk,
    missing_chunk,
    packed_chunk,
    walk,
)
from classifier.headers.layout import FilePart, Layout, StandIn, StreamInfo

_MP3: Final = 0x0055
# mmreg.h: PCM, MS ADPCM, IEEE float, A-law, mu-law, GSM 6.10.
_TAGS: Final = frozenset({0x0001, 0x0002, 0x0003, 0x0006, 0x0007, 0x0031, _MP3})
_EXTENSIBLE: Final = 0xFFFE
_TAG_NAMES: Final = {0x0011: "IMA ADPCM", 0x0161: "Windows Media"}
#: Size of the longest format chunk that is read: MS ADPCM with its seven pairs of coefficients.
_MAX_FORMAT_BYTES: Final = 50

#: libsndfile's subtype by format tag and bits per sample.
_PLAIN_TYPES: Final = {
    (0x0001, 8): "PCM_U8",
    (0x0001, 16): "PCM_16",
    (0x0001, 24): "PCM_24",
    (0x0001, 32): "PCM_32",
    (0x0003, 32): "FLOAT",
    (0x0003, 64): "DOUBLE",
}
_PLAIN_FORMAT: Final = struct.Struct("<HHIIHH")
_MOST_PLAIN_CHANNELS: Final = 8
_HIGHEST_PLAIN_RATE_HZ: Final = 192_000

_W64_CHUNK: Final = struct.Struct("<16sQ")
W64_RIFF: Final = bytes.fromhex("726966662e91cf11a5d628db04c10000")
W64_WAVE: Final = bytes.fromhex("77617665f3acd3118cd100c04f8edb8a")
_W64_FMT: Final = b"fmt " + W64_WAVE[4:]
_W64_DATA: Final = b"data" + W64_WAVE[4:]


def wav(file: FilePart) -> Layout:
    """Read the layout of a RIFF, RIFX, RF64 or BW64 WAVE file.

    Raises SoundError: `INVALID_HEADER`, `UNSUPPORTED_FORMAT` or `LIMIT_EXCEEDED`.
    """
    order, header = (">", BIG_ENDIAN) if file.head[:4] == b"RIFX" else ("<", LITTLE_ENDIAN)
    outer_end = 8 + header.unpack_from(file.head)[1]
    fmt = fact = b""
    extent = None
    end = 0
    long_lengths: dict[bytes, int] = {}
    loop_chunks = LoopChunks()
    for name, body, length in walk(file, 12, header, long_lengths=long_lengths):
        if name == b"fmt ":
            fmt = fmt or file.at(body, min(length, _MAX_FORMAT_BYTES))
        elif name == b"data":
            extent = extent or Extent.of(body, length, file.size_bytes, outer_end)
        elif name == b"fact" and length == 4:
            fact = file.at(body, 4)
        elif name == b"ds64":
            sizes = file.at(body, 16)
            if len(sizes) == 16:
                outer_length, long_lengths[b"data"] = struct.unpack("<QQ", sizes)
                outer_end = 8 + outer_length
        elif name in loop_metadata.OF_WAV:
            loop_chunks.read(file, name, body, length)
        if fmt and extent is not None:
            end = max(after_chunk(file, body, length), extent.end)
            break
    tag, extent = _required(fmt, extent, "WAV", order)
    if tag == _MP3:
        return _mp3("WAV", file, extent)
    loop_chunks.read_after(file, end, header, loop_metadata.OF_WAV)
    return Layout(
        "WAV",
        _stream_info(fmt, extent.there, order) or _stand_in(fmt, fact, extent.there, header),
        extent.missing,
        loop_metadata.of_wav(loop_chunks, order),
        extent.note,
    )


def _mp3(container: str, file: FilePart, extent: Extent) -> Layout:
    """Read the layout of a file whose sound data is a chain of MP3 frames."""
    layout = mpeg.mpeg(file.after(extent.end - extent.there))
    if layout is None:
        raise SoundError(
            ErrorCode.INVALID_HEADER, f"its {container} header states MP3, but no frames follow it"
        )
    note = extent.note or layout.note
    return layout._replace(container=container, missing_bytes=extent.missing, note=note)


def rmid(file: FilePart) -> Layout:
    """Read the layout of a MIDI file in a RIFF container; raises the same errors as `midi.midi`."""
    for name, body, _ in walk(file, 12, LITTLE_ENDIAN):
        if name == b"data":
            return midi.midi(file.after(body))
    raise missing_chunk("MIDI", "data")


def _stream_info(fmt: bytes, sound_bytes: int, order: str) -> StreamInfo | None:
    """Read the format chunk of a common format; None for unusual ones, which libsndfile handles.

    Nearly all sounds have a common format, and libsndfile is the most expensive step of reading a
    header. A test compares the results of both.
    """
    if order != "<" or len(fmt) not in (16, 18):
        return None
    tag, channels, rate_hz, _, frame_bytes, bits = _PLAIN_FORMAT.unpack_from(fmt)
    sample_type = _PLAIN_TYPES.get((tag, bits))
    if (
        sample_type is None
        or not 0 < channels <= _MOST_PLAIN_CHANNELS
        or not 0 < rate_hz <= _HIGHEST_PLAIN_RATE_HZ
        or frame_bytes != channels * bits // 8
    ):
        return None
    return StreamInfo(rate_hz, channels, sound_bytes // frame_bytes, sample_type)


def _stand_in(fmt: bytes, fact: bytes, sound_bytes: int, header: struct.Struct) -> StandIn:
    chunks = packed_chunk(b"fmt ", fmt, header)
    if len(fact) == 4:
        chunks += packed_chunk(b"fact", fact, header)
    length = 4 + len(chunks) + 8 + sound_bytes
    if length < 0xFFFFFFF0:
        riff = b"RIFX" if header is BIG_ENDIAN else b"RIFF"
        start = header.pack(riff, length) + b"WAVE"
        data = header.pack(b"data", sound_bytes)
    else:
        sizes = struct.pack("<QQQI", length + 36, sound_bytes, 0, 0)
        start = b"RF64\xff\xff\xff\xffWAVE" + packed_chunk(b"ds64", sizes, LITTLE_ENDIAN)
        data = b"data\xff\xff\xff\xff"
    return StandIn(start + chunks + data, sound_bytes)


def w64(file: FilePart) -> Layout:
    """Read the layout of a Sony Wave64 file; raises the same errors as `wav`."""
    fmt = b""
    extent = None
    outer_end = int.from_bytes(file.head[16:24], "little")
    for name, body, length in walk(file, 40, _W64_CHUNK, alignment=8, counts_header=True):
        if name == _W64_FMT:
            fmt = fmt or file.at(body, min(length, _MAX_FORMAT_BYTES))
        elif name == _W64_DATA:
            extent = extent or Extent.of(body, length, file.size_bytes, outer_end)
        if fmt and extent is not None:
            break
    tag, extent = _required(fmt, extent, "W64", "<")
    if tag == _MP3:
        return _mp3("W64", file, extent)
    stated = _W64_CHUNK.pack(_W64_FMT, 24 + len(fmt)) + fmt + b"\0" * (-len(fmt) % 8)
    stated += _W64_CHUNK.pack(_W64_DATA, 24 + extent.there)
    start = _W64_CHUNK.pack(W64_RIFF, 40 + len(stated) + extent.there) + W64_WAVE
    source = _stream_info(fmt, extent.there, "<") or StandIn(start + stated, extent.there)
    return Layout("W64", source, extent.missing, note=extent.note)


def _required(fmt: bytes, extent: Extent | None, container: str, order: str) -> tuple[int, Extent]:
    """Return the format tag and the extent; SoundError if one is missing or the tag unsupported."""
    if len(fmt) < 2:
        raise missing_chunk(container, "fmt ")
    tag = struct.unpack_from(order + "H", fmt)[0]
    if tag == _EXTENSIBLE and len(fmt) >= 28:
        tag = struct.unpack_from(order + "I", fmt, 24)[0]
    if tag not in _TAGS:
        name = _TAG_NAMES.get(tag, "an unsupported encoding")
        raise SoundError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"its WAV format tag is 0x{tag:04x} ({name}); expected PCM, float, A-law, mu-law, "
            "MS ADPCM, GSM 6.10 or MP3",
        )
    if extent is None:
        raise missing_chunk(container, "data")
    return tag, extent
