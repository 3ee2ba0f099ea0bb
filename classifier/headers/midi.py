"""Standard MIDI files: check from the chunk headers whether the file is complete.

A MIDI file holds notes and no sound. Packs contain such files, so they are filed under stems and
MIDI. They state neither sample rate nor frames, and programs write a tempo of 120 by default.
Source: Standard MIDI Files 1.0 (MMA, 1988).
"""

import struct
from typing import Final

from classifier.errors import ErrorCode, SoundError
from classifier.headers.layout import FilePart, Layout

_HEADER: Final = ">4sIHHH"
_FORMATS: Final = (0, 1, 2)
#: Maximum number of tracks that are checked.
_MOST_TRACKS: Final = 64


def midi(file: FilePart) -> Layout:
    """Read the layout of a MIDI file that starts with ``MThd``.

    Raises SoundError: `INVALID_HEADER` or `TRUNCATED`.
    """
    if len(file.head) < struct.calcsize(_HEADER):
        raise SoundError(ErrorCode.INVALID_HEADER, "its MIDI header is incomplete")
    _, length, kind, n_tracks, division = struct.unpack_from(_HEADER, file.head)
    if length < 6 or kind not in _FORMATS or not n_tracks or not division:
        raise SoundError(
            ErrorCode.INVALID_HEADER,
            f"its MIDI header states format {kind}, {n_tracks:,} tracks and division {division}; "
            "expected format 0, 1 or 2, at least one track and a division",
        )
    end = 8 + length
    for number in range(min(n_tracks, _MOST_TRACKS)):
        track = file.at(end, 8)
        if len(track) < 8:
            if number == 0:
                raise SoundError(
                    ErrorCode.INVALID_HEADER, "its MIDI header is not followed by a track"
                )
            break  # fewer tracks than stated still play
        end += 8 + struct.unpack_from(">I", track, 4)[0]
    if end > file.size_bytes:
        raise SoundError(
            ErrorCode.TRUNCATED,
            f"its MIDI tracks state {end - file.size_bytes:,} more bytes than the file contains",
        )
    return Layout("MIDI", None)
