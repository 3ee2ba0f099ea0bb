"""Reading the numbers of a sound's header, never its samples.

libsndfile (through `soundfile`) is the reader; `classifier.containers` decides first whether it may
see the file. Opening a file there parses headers only; nothing here ever decodes, so a 46 kB FLAC
that would expand eight thousandfold costs what any other does. Every number is bounded before it
leaves this module.

What is not here: how the file was opened safely (`classifier.opening`), and what the numbers mean
to the model (`classifier.features`).
"""

import contextlib
import os
from dataclasses import dataclass
from typing import Final

import soundfile

from classifier import containers
from classifier.chunked import Layout, StandIn
from classifier.errors import ErrorCode, SoundError
from classifier.paths import printable
from classifier.quiet import quiet

#: libsndfile's own ceiling is 1,024 channels and 655,350 Hz; no sound of a sample pack comes near.
MAX_CHANNELS: Final = 256
MAX_SAMPLE_RATE_HZ: Final = 1_000_000
#: About 6 years at 48 kHz: more is a forged header.
MAX_FRAME_COUNT: Final = 2**43

# libsndfile's "File does not exist or is not a regular file", also when libmpg123 finds no frame.
_SFE_BAD_FILE: Final = 7

# SF_COUNT_MAX, which libsndfile reports when a container does not state its length.
_FRAMES_UNSTATED: Final = 2**63 - 1

_EXTENSIONS: Final[dict[str, frozenset[str]]] = {
    "WAV": frozenset({"wav", "wave", "bwf", "rf64"}),
    "AIFF": frozenset({"aif", "aiff", "aifc", "afc"}),
    "FLAC": frozenset({"flac", "fla"}),
    "OGG": frozenset({"ogg", "oga", "opus", "spx"}),
    "MP3": frozenset({"mp3", "mp2", "mp1", "mpga"}),
    "AU": frozenset({"au", "snd"}),
    "CAF": frozenset({"caf"}),
    "W64": frozenset({"w64"}),
}

#: Extensions (lower case, no dot) by which a walk takes a file for a sound.
AUDIO_EXTENSIONS: Final = frozenset().union(*_EXTENSIONS.values())


@dataclass(frozen=True, slots=True)
class AudioHeader:
    """The numbers a sound's header states; ``None`` where it does not state one.

    Attributes
    ----------
    file_size_bytes : int or None
    duration_seconds : float or None
        ``frame_count / sample_rate_hz``.
    sample_rate_hz : int or None
    channels : int or None
    frame_count : int or None
        Samples per channel.
    sample_type : str or None
        libsndfile's subtype: ``PCM_16``, ``FLOAT``, ``MPEG_LAYER_III``, ...
    """

    file_size_bytes: int | None
    duration_seconds: float | None
    sample_rate_hz: int | None
    channels: int | None
    frame_count: int | None
    sample_type: str | None


@dataclass(frozen=True, slots=True)
class HeaderReading:
    """A header and what a person should know about the file it came from.

    Attributes
    ----------
    header : AudioHeader
    note : str or None
        One sentence when the file is readable but odd (a misleading extension), else None.
    """

    header: AudioHeader
    note: str | None


def read_header(fd: int, size_bytes: int, name: str) -> HeaderReading:
    """Read a sound's header from an open descriptor.

    Parameters
    ----------
    fd : int
        From `classifier.opening.open_beneath`: a regular file at offset 0. Not closed here.
    size_bytes : int
        The file's size.
    name : str
        The base name, only to tell whether its extension misleads.

    Returns
    -------
    HeaderReading

    Raises
    ------
    SoundError
        `EMPTY_FILE`, `NOT_AUDIO`, `UNSUPPORTED_FORMAT`, `INVALID_HEADER`, `LIMIT_EXCEEDED` or
        `TRUNCATED`, each saying what was expected and what came.
    OSError
        The storage failed, which is not the sound's fault.
    """
    if size_bytes == 0:
        raise SoundError(ErrorCode.EMPTY_FILE, "it has no bytes at all")
    layout = containers.inspect(fd, size_bytes)
    header = _header_by_libsndfile(fd, size_bytes, layout)
    if layout.missing_bytes:
        raise SoundError(
            ErrorCode.TRUNCATED,
            f"its header states {layout.missing_bytes:,} bytes of sound more than the file has",
        )
    return HeaderReading(header, _note(layout, name))


def _header_by_libsndfile(fd: int, size_bytes: int, layout: Layout) -> AudioHeader:
    source: int | _Window | _StandInFile = fd
    if layout.stand_in is not None:
        source = _StandInFile(layout.stand_in)
    elif layout.audio_offset_bytes:
        source = _Window(fd, layout.audio_offset_bytes, size_bytes)
    silence = quiet() if layout.container in ("MP3", "CAF") else contextlib.nullcontext()
    try:
        with silence, soundfile.SoundFile(source, mode="r", closefd=False) as sound:
            frames, rate = int(sound.frames), int(sound.samplerate)
            channels, subtype = int(sound.channels), str(sound.subtype)
    except soundfile.LibsndfileError as error:
        reason = printable(error.error_string.strip().rstrip("."))
        if error.code == _SFE_BAD_FILE:
            reason = "no sound can be found in it"
        raise SoundError(
            ErrorCode.INVALID_HEADER, f"its {layout.container} header cannot be read: {reason}"
        ) from error
    if not 0 < channels <= MAX_CHANNELS or not 0 < rate <= MAX_SAMPLE_RATE_HZ:
        raise SoundError(
            ErrorCode.LIMIT_EXCEEDED,
            f"its header states {channels:,} channels at {rate:,} Hz; at most {MAX_CHANNELS} "
            f"channels and {MAX_SAMPLE_RATE_HZ:,} Hz are believed",
        )
    frame_count = None if frames < 0 or frames == _FRAMES_UNSTATED else frames
    if frame_count == 0 and not layout.missing_bytes:
        raise SoundError(ErrorCode.EMPTY_FILE, "its header states that it holds no sound at all")
    if frame_count is not None and frame_count > MAX_FRAME_COUNT:
        raise SoundError(
            ErrorCode.LIMIT_EXCEEDED,
            f"its header states {frame_count:,} frames; at most {MAX_FRAME_COUNT:,} are believed",
        )
    return AudioHeader(
        file_size_bytes=size_bytes,
        duration_seconds=None if frame_count is None else frame_count / rate,
        sample_rate_hz=rate,
        channels=channels,
        frame_count=frame_count,
        sample_type=subtype,
    )


def _note(layout: Layout, name: str) -> str | None:
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    if extension in AUDIO_EXTENSIONS and extension not in _EXTENSIONS[layout.container]:
        return f"it is {layout.container}, though its name ends in .{extension}"
    return None


class _Stream:
    """The seeking half of the file object that libsndfile's virtual I/O takes."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position


class _Window(_Stream):
    """The rest of a file from an offset."""

    def __init__(self, fd: int, start: int, end: int) -> None:
        super().__init__(end - start)
        self._fd = fd
        self._start = start

    def read(self, length: int) -> bytes:
        data = os.pread(self._fd, length, self._start + self._position)
        self._position += len(data)
        return data


class _StandInFile(_Stream):
    """A stand-in's header, followed by as much silence as it announces."""

    def __init__(self, stand_in: StandIn) -> None:
        super().__init__(len(stand_in.header) + stand_in.sound_bytes)
        self._header = stand_in.header

    def read(self, length: int) -> bytes:
        length = max(0, min(length, self._length - self._position))
        data = self._header[self._position : self._position + length]
        data += bytes(length - len(data))
        self._position += len(data)
        return data
