"""Small sounds made in memory, whole and broken. Not here: the example library (`examples`)."""

import io
import struct

import numpy as np
import soundfile

#: Samples per channel of each.
N_FRAMES = 2205


def encoded(
    container: str = "WAV",
    subtype: str | None = None,
    channels: int = 1,
    sample_rate_hz: int = 44100,
) -> bytes:
    """Return 50 ms of a decaying 220 Hz tone as a whole file."""
    seconds = np.arange(N_FRAMES) / 44100
    tone = np.sin(2 * np.pi * 220 * seconds) * np.exp(-40 * seconds) / 2
    file = io.BytesIO()
    frames = np.stack([tone] * channels, axis=1)
    soundfile.write(file, frames, sample_rate_hz, subtype, format=container)
    return file.getvalue()


def wav_with(tag: int = 1, channels: int = 1) -> bytes:
    """Return a WAV whose format chunk states this tag and this many 16-bit channels."""
    fmt = struct.pack("<HHIIHH", tag, channels, 44100, 88200 * channels, 2 * channels, 16)
    data = bytes(8 * channels)
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(data))
    return b"RIFF" + struct.pack("<I", 4 + len(chunks + data)) + b"WAVE" + chunks + data


def midi(n_tracks: int = 1, stated: int | None = None) -> bytes:
    """Return a MIDI file of empty tracks; `stated` is a number of them that lies."""
    header = struct.pack(">4sIHHH", b"MThd", 6, 1, n_tracks if stated is None else stated, 480)
    end_of_track = b"\0\xff\x2f\0"
    return header + n_tracks * (b"MTrk" + struct.pack(">I", len(end_of_track)) + end_of_track)
