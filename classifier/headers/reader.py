"""Read a sound's header, never its samples: `read_header`.

`classifier.headers.sniffing` decides whether a file may be read, and which parser reads it: one of
this package, or libsndfile on a stand-in header (decisions 12, 13). Nothing is decoded. Every value
is checked against limits before it leaves this module.
"""

import os
from typing import Any, Final, NamedTuple

import soundfile

from classifier.errors import ErrorCode, SoundError
from classifier.files.extensions import AUDIO_EXTENSIONS, EXTENSIONS
from classifier.files.paths import printable
from classifier.headers import sniffing
from classifier.headers.layout import Layout, StandIn, StreamInfo
from classifier.headers.loop_metadata import LoopInfo

#: libsndfile's own limits are 1,024 channels and 655,350 Hz; sounds of sample packs stay far below.
MAX_CHANNELS: Final = 256
MAX_SAMPLE_RATE_HZ: Final = 1_000_000
#: About 6 years at 48 kHz: more is a forged header.
MAX_FRAME_COUNT: Final = 2**43

_SFE_MALLOC_FAILED: Final = 17
#: An encoding that libsndfile does not know, such as samples of 64-bit integers.
_SFE_UNIMPLEMENTED: Final = 18

# SF_COUNT_MAX, which libsndfile reports when a container does not state its length.
_FRAMES_UNSTATED: Final = 2**63 - 1


class AudioHeader(NamedTuple):
    """Values that a sound's header states; ``None`` where it does not state one."""

    file_size_bytes: int | None
    duration_seconds: float | None  #: frame_count / sample_rate_hz
    sample_rate_hz: int | None
    channels: int | None
    frame_count: int | None  #: samples per channel
    sample_type: str | None  #: libsndfile's subtype: ``PCM_16``, ``MPEG_LAYER_III``, ...
    loop_info: LoopInfo | None = None  #: from metadata chunks; not an input of a model


class HeaderReading(NamedTuple):
    """A header, and a note for the user if the file is unusual."""

    header: AudioHeader
    note: str | None
    is_midi: bool = False


def read_header(fd: int, size_bytes: int, name: str) -> HeaderReading:
    """Read a sound's header from an open descriptor.

    - `name`: the base name, used only to report a misleading extension.

    Raises SoundError: `EMPTY_FILE`, `NOT_AUDIO`, `UNSUPPORTED_FORMAT`, `INVALID_HEADER`,
    `LIMIT_EXCEEDED` or `TRUNCATED`; the message states what was expected and what was found.
    Raises OSError: the storage failed, which is not the file's fault.
    """
    if size_bytes == 0:
        raise SoundError(ErrorCode.EMPTY_FILE, "the file is empty (0 bytes)")
    try:
        layout = sniffing.inspect(fd, size_bytes)
        match layout.source:
            case StreamInfo() as info:
                header = _validated(info, size_bytes, layout)
            case StandIn() as stand_in:
                info = read_stand_in(stand_in, layout.container)
                header = _validated(info, size_bytes, layout)
            case None:
                header = AudioHeader(size_bytes, None, None, None, None, None)
    except MemoryError as error:
        # The file is at fault, not the worker.
        raise SoundError(
            ErrorCode.LIMIT_EXCEEDED, "reading its header needs more memory than is available"
        ) from error
    if layout.missing_bytes:
        raise SoundError(
            ErrorCode.TRUNCATED,
            f"its header states {layout.missing_bytes:,} more bytes of sound than the file "
            "contains",
        )
    notes = filter(None, (_extension_note(layout, name), layout.note))
    return HeaderReading(header, "; ".join(notes) or None, layout.container == "MIDI")


class _VirtualFile:
    """A file object for `soundfile`: a stand-in's header, then as many zeros as it announces."""

    def __init__(self, stand_in: StandIn) -> None:
        self._header = stand_in.header
        self._length = len(stand_in.header) + stand_in.sound_bytes
        self._position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position and return it, as file objects do."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer. Without it, soundfile would catch an exception for every read."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, length: int) -> bytes:
        """Return up to `length` bytes."""
        length = max(0, min(length, self._length - self._position))
        data = self._header[self._position : self._position + length].ljust(length, b"\0")
        self._position += length
        return data


def read_stand_in(stand_in: StandIn, container: str) -> StreamInfo:
    """Read a stand-in header with libsndfile.

    Raises SoundError: `INVALID_HEADER` or `UNSUPPORTED_FORMAT`, with libsndfile's reason.
    """
    try:
        with soundfile.SoundFile(_VirtualFile(stand_in), mode="r") as sound:
            frames = int(sound.frames)
            return StreamInfo(
                sample_rate_hz=int(sound.samplerate),
                channels=int(sound.channels),
                frame_count=None if frames < 0 or frames == _FRAMES_UNSTATED else frames,
                sample_type=str(sound.subtype),
            )
    except soundfile.LibsndfileError as error:
        if error.code == _SFE_MALLOC_FAILED:
            raise MemoryError from error
        is_unknown = error.code == _SFE_UNIMPLEMENTED
        code = ErrorCode.UNSUPPORTED_FORMAT if is_unknown else ErrorCode.INVALID_HEADER
        reason = printable(error.error_string.strip().rstrip("."))
        raise SoundError(code, f"its {container} header cannot be read: {reason}") from error


def _validated(info: StreamInfo, size_bytes: int, layout: Layout) -> AudioHeader:
    channels, rate, frames = info.channels, info.sample_rate_hz, info.frame_count
    if not 0 < channels <= MAX_CHANNELS or not 0 < rate <= MAX_SAMPLE_RATE_HZ:
        raise SoundError(
            ErrorCode.LIMIT_EXCEEDED,
            f"its header states {channels:,} channels at {rate:,} Hz; at most {MAX_CHANNELS} "
            f"channels and {MAX_SAMPLE_RATE_HZ:,} Hz are accepted",
        )
    if frames == 0 and not layout.missing_bytes:
        raise SoundError(
            ErrorCode.EMPTY_FILE, "its header states a length of 0 frames; expected sound"
        )
    if frames is not None and frames > MAX_FRAME_COUNT:
        raise SoundError(
            ErrorCode.LIMIT_EXCEEDED,
            f"its header states {frames:,} frames; at most {MAX_FRAME_COUNT:,} are accepted",
        )
    return AudioHeader(
        file_size_bytes=size_bytes,
        duration_seconds=None if frames is None else frames / rate,
        sample_rate_hz=rate,
        channels=channels,
        frame_count=frames,
        sample_type=info.sample_type,
        loop_info=layout.loop_info,
    )


def _extension_note(layout: Layout, name: str) -> str | None:
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    if extension in AUDIO_EXTENSIONS and extension not in EXTENSIONS[layout.container]:
        return f"its extension is .{extension}, but its format is {layout.container}"
    return None
