"""What is read of a plain WAV without libsndfile is what libsndfile would have said of it."""

import os
import struct
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.errors import SoundError
from classifier.files.safe_open import open_beneath, open_root
from classifier.headers import sniffing
from classifier.headers.layout import StandIn, StreamInfo
from classifier.headers.reader import read_stand_in
from tests.support import sounds
from tests.support.riff_chunks import chunk, riff

RATES_HZ = (0, 1, 8000, 22050, 44100, 48000, 96000, 192000, 192001, 655350, 655351, 2**32 - 1)


@st.composite
def formats(draw):
    """Format chunks, most of which nearly make sense."""
    channels = draw(st.sampled_from([0, 1, 2, 3, 6, 8, 9, 255, 1024, 65535]))
    bits = draw(st.sampled_from([0, 1, 4, 8, 12, 16, 20, 24, 32, 64, 65535]))
    frame_bytes = channels * bits // 8 + draw(st.sampled_from([0, 0, 0, 1, -1, channels]))
    tag = draw(st.sampled_from([0x0001, 0x0003, 0x0006, 0xFFFE]))
    rate_hz = draw(st.sampled_from(RATES_HZ))
    bytes_a_second = draw(st.sampled_from([0, 1, rate_hz * frame_bytes % 2**32]))
    fixed = struct.pack(
        "<HHIIHH", tag, channels, rate_hz, bytes_a_second, frame_bytes % 2**16, bits
    )
    return fixed + draw(st.sampled_from([b"", b"\0\0", b"\2\0", b"\0\0\0\0"]))


@settings(max_examples=1500)
@given(formats(), st.integers(0, 200), st.booleans())
def test_values_match_libsndfile_for_any_format_or_are_none(
    layout_of, stand_in_of, fmt, sound_bytes, has_fact
):
    fact = [chunk(b"fact", struct.pack("<I", 7))] if has_fact else []
    file = riff(chunk(b"fmt ", fmt), *fact, chunk(b"data", bytes(sound_bytes)))
    try:
        layout = layout_of(file)
    except SoundError:
        return
    if isinstance(layout.source, StreamInfo):
        shown = stand_in_of(lambda: layout_of(file))
        assert layout.source == read_stand_in(shown, "WAV")


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_files_written_by_libsndfile_are_read_without_it(layout_of, subtype, channels):
    numbers = layout_of(sounds.encoded("WAV", subtype, channels=channels)).source
    assert (numbers.sample_type, numbers.channels) == (subtype, channels)
    assert (numbers.frame_count, numbers.sample_rate_hz) == (sounds.N_FRAMES, 44100)


@pytest.mark.parametrize("subtype", ["ALAW", "ULAW", "MS_ADPCM", "GSM610"])
def test_other_encodings_are_left_to_libsndfile(layout_of, subtype):
    assert isinstance(layout_of(sounds.encoded("WAV", subtype)).source, StandIn)


def test_values_of_all_real_sounds_match_libsndfile(shared_audio, stand_in_of):
    # Given every real WAV, readable or not
    root_fd = open_root(str(shared_audio))
    asked = 0
    for path in sorted(shared_audio.rglob("*")):
        if path.suffix.lower() != ".wav":
            continue
        fd, status = open_beneath(root_fd, str(path.relative_to(shared_audio)))
        try:
            layout = sniffing.inspect(fd, status.st_size)
            stand_in = stand_in_of(partial(sniffing.inspect, fd, status.st_size))
        except SoundError:
            continue
        finally:
            os.close(fd)
        if isinstance(layout.source, StreamInfo):
            # Then both agree
            assert layout.source == read_stand_in(stand_in, "WAV"), path
            asked += 1
    os.close(root_fd)
    assert asked > 400
