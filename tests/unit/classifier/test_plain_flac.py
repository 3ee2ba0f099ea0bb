"""What is read of a plain FLAC without libsndfile is what libsndfile would have said of it."""

import io
import os
import struct

import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.errors import SoundError
from classifier.files.safe_open import open_beneath, open_root
from classifier.headers import flac, sniffing
from classifier.headers.layout import StreamInfo
from tests.support import sounds


@st.composite
def streaminfos(draw):
    """Blocks of numbers, most of which make sense."""
    frames_of_a_block = st.sampled_from([0, 15, 16, 192, 4096, 4608, 65535])
    rate_hz = draw(st.sampled_from([0, 1, 8000, 44100, 96000, 192000, 192001, 655350, 2**20 - 1]))
    channels = draw(st.integers(0, 7))
    bits = draw(st.sampled_from([0, 3, 7, 11, 15, 19, 23, 31]))
    frames = draw(st.sampled_from([0, 1, 4096, 100_000, 2**36 - 1]))
    packed = rate_hz << 44 | channels << 41 | bits << 36 | frames
    blocks = struct.pack(">HH", draw(frames_of_a_block), draw(frames_of_a_block))
    sizes = draw(st.sampled_from([bytes(6), b"\0\0\x0e\0\x20\0", b"\xff" * 6]))
    return (
        blocks + sizes + packed.to_bytes(8, "big") + draw(st.sampled_from([bytes(16), b"x" * 16]))
    )


@settings(max_examples=1500)
@given(streaminfos())
def test_values_match_libsndfile_for_any_block(streaminfo):
    try:
        sound = soundfile.SoundFile(io.BytesIO(b"fLaC" + b"\x80\0\0\x22" + streaminfo))
    except soundfile.LibsndfileError:
        return  # other numbers of bits, no rate
    numbers = (sound.samplerate, sound.channels, sound.frames, sound.subtype)
    unstated = numbers[2] == 2**63 - 1
    ours = flac.stream_info(streaminfo)
    assert ours == numbers or (unstated and ours == (*numbers[:2], None, numbers[3]))


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_files_written_by_libsndfile_are_read_without_it(layout_of, subtype, channels):
    numbers = layout_of(sounds.encoded("FLAC", subtype, channels=channels)).source
    assert (numbers.sample_type, numbers.channels) == (subtype, channels)
    assert (numbers.frame_count, numbers.sample_rate_hz) == (sounds.N_FRAMES, 44100)


def test_values_of_all_real_sounds_match_libsndfile(shared_audio):
    # Given every real FLAC, readable or not
    root_fd = open_root(str(shared_audio))
    asked = 0
    for path in sorted(shared_audio.rglob("*.flac")):
        fd, status = open_beneath(root_fd, str(path.relative_to(shared_audio)))
        try:
            layout = sniffing.inspect(fd, status.st_size)
            if not isinstance(layout.source, StreamInfo):
                continue
            with soundfile.SoundFile(path) as sound:
                seen = (sound.samplerate, sound.channels, sound.frames, sound.subtype)
        except SoundError:
            continue
        finally:
            os.close(fd)
        # Then libsndfile reads the same from the file itself
        numbers = layout.source
        assert seen == (
            numbers.sample_rate_hz,
            numbers.channels,
            numbers.frame_count,
            numbers.sample_type,
        ), path
        asked += 1
    assert asked > 50
