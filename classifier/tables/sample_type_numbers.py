"""Sample types written as integers, as notebooks encode them for a model.

Each notebook uses its own numbers, and the published one does not document them. So the sample type
is inferred from the file size in the same row. Only numbers that are clearly libsndfile's own are
used directly.
"""

from typing import Final

from classifier.headers.reader import AudioHeader

#: Sample type by bytes per sample; FLOAT is far more frequent than PCM_32.
_BY_BYTES: Final = {1: "PCM_U8", 2: "PCM_16", 3: "PCM_24", 4: "FLOAT", 8: "DOUBLE"}

#: Minimum and maximum size of everything but the samples; for longer files the maximum is a share.
_LEAST_OVERHEAD_BYTES: Final = 24
_MOST_OVERHEAD_BYTES: Final = 512
_MOST_OVERHEAD_SHARE: Final = 0.02

#: MP3 needs fewer bytes per sample than PCM, whatever the file's extension.
_MOST_MP3_BYTES: Final = 0.75

#: Sample type by extension of compressed files; None where the extension leaves it open.
_BY_EXTENSION: Final = {
    ".mp3": "MPEG_LAYER_III", ".ogg": "VORBIS", ".opus": "OPUS", ".flac": None,
}  # fmt: skip
#: Containers that may hold compressed sound other than MP3.
_MIXED: Final = (".caf", ".aif", ".aiff", ".aifc")

#: libsndfile's own numbers (sndfile.h) that are too large for the numbering of a short list.
_LIBSNDFILE: Final = {
    0x10: "ULAW", 0x11: "ALAW", 0x12: "IMA_ADPCM", 0x13: "MS_ADPCM", 0x20: "GSM610",
    0x60: "VORBIS", 0x64: "OPUS", 0x70: "ALAC_16", 0x71: "ALAC_20", 0x72: "ALAC_24",
    0x73: "ALAC_32", 0x80: "MPEG_LAYER_I", 0x81: "MPEG_LAYER_II", 0x82: "MPEG_LAYER_III",
}  # fmt: skip


def numbered_sample_type(number: int, name: str, header: AudioHeader) -> str | None:
    """Infer the sample type of a row that states a number; None if it remains unknown."""
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
