"""Integers in the place of a sample type, as notebooks write them for a model.

Each notebook numbers the types in its own way, and the published one does not say how. So a number
is not taken at its word: the size that the row states for the same file decides.
"""

from typing import Final

from classifier.headers.reader import AudioHeader

#: Types of samples that take this many bytes each; FLOAT is far more frequent than PCM_32.
_BY_BYTES: Final = {1: "PCM_U8", 2: "PCM_16", 3: "PCM_24", 4: "FLOAT", 8: "DOUBLE"}

#: The least and the most that a file holds beside its samples; of longer files, a share.
_LEAST_OVERHEAD_BYTES: Final = 24
_MOST_OVERHEAD_BYTES: Final = 512
_MOST_OVERHEAD_SHARE: Final = 0.02

#: MP3 needs fewer bytes a sample than PCM, whatever the name ends in.
_MOST_MP3_BYTES: Final = 0.75

#: Compressed files that the name tells, if not always their sample type.
_BY_EXTENSION: Final = {
    ".mp3": "MPEG_LAYER_III", ".ogg": "VORBIS", ".opus": "OPUS", ".flac": None,
}  # fmt: skip
#: Containers that may hold compressed sound other than MP3.
_MIXED: Final = (".caf", ".aif", ".aiff", ".aifc")

#: Of libsndfile's own numbers (sndfile.h) those that no list of a few types comes to.
_LIBSNDFILE: Final = {
    0x10: "ULAW", 0x11: "ALAW", 0x12: "IMA_ADPCM", 0x13: "MS_ADPCM", 0x20: "GSM610",
    0x60: "VORBIS", 0x64: "OPUS", 0x70: "ALAC_16", 0x71: "ALAC_20", 0x72: "ALAC_24",
    0x73: "ALAC_32", 0x80: "MPEG_LAYER_I", 0x81: "MPEG_LAYER_II", 0x82: "MPEG_LAYER_III",
}  # fmt: skip


def numbered_sample_type(number: int, name: str, header: AudioHeader) -> str | None:
    """Return the sample type of a row that has a number for it, None where that stays unknown."""
    if number in _LIBSNDFILE:
        return _LIBSNDFILE[number]
    extension = f".{name.lower().rpartition('.')[2]}"
    if extension in _BY_EXTENSION:
        return _BY_EXTENSION[extension]
    size, samples = header.file_size_bytes, (header.frame_count or 0) * (header.channels or 0)
    if size and samples:
        fitting = [width for width in _BY_BYTES if _fits(size, samples * width)]
        if len(fitting) == 1:
            return _BY_BYTES[fitting[0]]
        if size < _MOST_MP3_BYTES * samples and extension not in _MIXED:
            return "MPEG_LAYER_III"
    return None


def _fits(size: int, sound: int) -> bool:
    most = max(_MOST_OVERHEAD_BYTES, _MOST_OVERHEAD_SHARE * sound)
    return _LEAST_OVERHEAD_BYTES <= size - sound <= most
