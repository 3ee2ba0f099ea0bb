"""Header numbers as features: every sample type, whatever is missing, whatever is forged."""

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from classifier.errors import UnknownSampleTypeError
from classifier.headers.reader import AudioHeader
from classifier.model.header_features import (
    HEADER_COLUMNS,
    SAMPLE_TYPES,
    header_matrix,
    sample_type_code,
)

NOTHING_STATED = AudioHeader(None, None, None, None, None, None)


@pytest.mark.parametrize(
    "sample_type", sorted({*soundfile._subtypes, *soundfile.available_subtypes()})
)
def test_every_sample_type_that_libsndfile_lists_has_a_code(sample_type):
    assert SAMPLE_TYPES[sample_type_code(sample_type)] == sample_type


def test_an_unknown_sample_type_is_refused_by_name():
    header = AudioHeader(1, 1.0, 44_100, 1, 44_100, "PCM_48")
    with pytest.raises(UnknownSampleTypeError, match="PCM_48"):
        header_matrix([header])


def test_a_header_becomes_logarithms_channels_and_a_code():
    header = AudioHeader(88_244, 1.0, 44_100, 2, 44_100, "PCM_16")
    (row,) = header_matrix([header])
    assert dict(zip(HEADER_COLUMNS, row.tolist(), strict=True)) == pytest.approx(
        {
            "log_file_size_bytes": np.log(88_245),
            "log_duration_seconds": np.log(2),
            "log_sample_rate_hz": np.log(44_101),
            "channels": 2,
            "log_frame_count": np.log(44_101),
            "sample_type": sample_type_code("PCM_16"),
        }
    )


def test_only_missing_header_values_are_nan():
    # Given a sound whose container does not state its length
    header = AudioHeader(1_000, None, 44_100, 1, None, "VORBIS")
    # Then only what depends on the length is missing
    assert np.isnan(header_matrix([header])[0]).tolist() == [False, True, False, False, True, False]
    assert np.isnan(header_matrix([NOTHING_STATED])).all()


def test_no_headers_are_an_empty_matrix():
    assert header_matrix([]).shape == (0, len(HEADER_COLUMNS))


HOSTILE = st.none() | st.integers() | st.sampled_from([10**400, -(10**400), 2**63, -1, 0])
HOSTILE_FLOATS = st.none() | st.floats() | st.just(10**400)


@given(HOSTILE, HOSTILE_FLOATS, HOSTILE, HOSTILE, HOSTILE)
def test_forged_numbers_never_become_infinite(size, duration, rate, channels, frames):
    matrix = header_matrix([AudioHeader(size, duration, rate, channels, frames, "FLOAT")])
    assert not np.isinf(matrix).any()
    assert matrix.dtype == np.float32


def test_a_negative_number_counts_as_not_stated():
    assert np.isnan(header_matrix([AudioHeader(-1, -1.0, -1, -1, -1, None)])).all()
