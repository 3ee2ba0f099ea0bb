"""Convert audio headers to the numeric features of the forest."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from classifier.errors import UnknownSampleTypeError
from classifier.headers.reader import AudioHeader
from classifier.model.arrays import HeaderMatrix

#: Every subtype libsndfile knows (sndfile.h of 1.2.2). The index is the value of the feature,
#: ordered from plain to lossy, so that one threshold of a tree separates a family. Part of the
#: bundle format: append only.
SAMPLE_TYPES: Final[tuple[str, ...]] = (
    "PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32",
    "FLOAT", "DOUBLE",
    "ALAC_16", "ALAC_20", "ALAC_24", "ALAC_32",
    "DWVW_12", "DWVW_16", "DWVW_24", "DWVW_N",
    "DPCM_8", "DPCM_16",
    "ULAW", "ALAW",
    "IMA_ADPCM", "MS_ADPCM", "VOX_ADPCM",
    "G721_32", "G723_24", "G723_40",
    "NMS_ADPCM_16", "NMS_ADPCM_24", "NMS_ADPCM_32",
    "GSM610",
    "VORBIS", "OPUS",
    "MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III",
)  # fmt: skip

#: Columns of `header_matrix`. Sizes, lengths and rates span orders of magnitude (a click of 2 ms,
#: a stem of 8 minutes), so they enter as natural logarithms of 1 + value.
HEADER_COLUMNS: Final[tuple[str, ...]] = (
    "log_file_size_bytes",
    "log_duration_seconds",
    "log_sample_rate_hz",
    "channels",
    "log_frame_count",
    "sample_type",
)

N_HEADER_COLUMNS: Final = len(HEADER_COLUMNS)

# Upper limits. Larger values are forged, and their float32 logarithms carry no information.
_LARGEST_COUNT: Final = 2.0**53
_MOST_CHANNELS: Final = 1024.0

_CODE_OF_SAMPLE_TYPE: Final = {name: code for code, name in enumerate(SAMPLE_TYPES)}


def sample_type_code(sample_type: str) -> int:
    """Return the position of a libsndfile subtype in `SAMPLE_TYPES`."""
    try:
        return _CODE_OF_SAMPLE_TYPE[sample_type]
    except KeyError:
        raise UnknownSampleTypeError(
            f"unknown sample type {sample_type!r}; expected one of libsndfile's "
            f"{len(SAMPLE_TYPES)} subtypes"
        ) from None


def header_matrix(headers: Sequence[AudioHeader]) -> HeaderMatrix:
    """Stack headers into the numeric features, in the order of `HEADER_COLUMNS`.

    Values may be hostile: negative ones become NaN, very large ones are capped.

    Raises UnknownSampleTypeError: a subtype that libsndfile does not list.
    """
    rows = [
        (
            _log(header.file_size_bytes),
            _log(header.duration_seconds),
            _log(header.sample_rate_hz),
            _bounded(header.channels, _MOST_CHANNELS),
            _log(header.frame_count),
            np.nan if header.sample_type is None else float(sample_type_code(header.sample_type)),
        )
        for header in headers
    ]
    return np.array(rows, dtype=np.float32).reshape(len(rows), N_HEADER_COLUMNS)


def _bounded(value: float | None, largest: float) -> float:
    # Compared before float(): Python compares an int of any size, but cannot convert it.
    if value is None or not value >= 0:
        return np.nan
    return largest if value > largest else float(value)


def _log(value: float | None) -> float:
    return float(np.log1p(_bounded(value, _LARGEST_COUNT)))
