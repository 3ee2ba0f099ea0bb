"""FLAC, whose numbers stand in its first block; the tags and pictures behind it are walked over."""

import io
import os

import numpy as np
import pytest
import soundfile

from classifier.errors import ErrorCode
from classifier.headers import flac
from classifier.headers.reader import read_header
from tests.support import sounds

GOOD = sounds.encoded("FLAC")
STREAMINFO_END = 4 + 4 + 34
#: Not the last block, of type 1: padding.
PADDING = b"\1"


def with_blocks(*blocks):
    """Return the good file with these blocks between its first and its others."""
    first = bytes([GOOD[4] & 0x7F])
    return GOOD[:4] + first + GOOD[5:STREAMINFO_END] + b"".join(blocks) + GOOD[STREAMINFO_END:]


def block(length, kind=PADDING):
    return kind + length.to_bytes(3, "big") + bytes(length)


@pytest.mark.parametrize(
    "content",
    [with_blocks(block(0)), with_blocks(block(2**24 - 1)), with_blocks(*[block(8)] * 100)],
    ids=["an empty block", "a picture of 16 MB", "a hundred blocks"],
)
def test_values_do_not_depend_on_the_bytes_after_streaminfo(header_of, content):
    assert header_of(content).header.frame_count == sounds.N_FRAMES


def test_a_picture_is_not_read(tmp_path, monkeypatch):
    # Given a FLAC with a picture of 16 MB
    content = with_blocks(block(2**24 - 1, kind=b"\6"))
    (tmp_path / "kick.flac").write_bytes(content)
    n_read = []
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, n, at: n_read.append(n) or pread(fd, n, at))
    # When its header is read
    with (tmp_path / "kick.flac").open("rb") as file:
        read_header(file.fileno(), len(content), "kick.flac")
    # Then little more than one block was
    assert sum(n_read) < 5000


@pytest.mark.parametrize("end", [STREAMINFO_END, STREAMINFO_END + 2, STREAMINFO_END + 20])
def test_a_flac_cut_before_its_sound_is_truncated(refusal_of, end):
    assert GOOD[STREAMINFO_END] & 0x7F == 4, "its second block holds comments"
    assert refusal_of(GOOD[:end]).code is ErrorCode.TRUNCATED


@pytest.mark.parametrize(
    "content",
    [b"fLaC", GOOD[:30], b"fLaC" + PADDING + GOOD[5:], b"fLaC" + bytes(200)],
    ids=["no block", "half a block", "another block first", "zeros"],
)
def test_a_flac_without_its_first_block_is_refused(refusal_of, content):
    assert refusal_of(content).code in (ErrorCode.INVALID_HEADER, ErrorCode.TRUNCATED)


def test_metadata_blocks_are_read_up_to_a_limit(refusal_of):
    refused = refusal_of(with_blocks(*[block(0)] * 300))
    assert refused.code is ErrorCode.LIMIT_EXCEEDED
    assert str(flac._MAX_BLOCKS) in refused.message


# A stream of unknown length leaves its 36 bits of total samples at zero


def streamed(frames, rate_hz=44100, channels=1):
    file = io.BytesIO()
    noise = np.random.default_rng(0).normal(0, 0.1, (frames, channels))
    soundfile.write(file, noise, rate_hz, format="FLAC")
    content = bytearray(file.getvalue())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    return bytes(content)


@pytest.mark.parametrize("frames", [1, 192, 4096, 4097, 700_000])
@pytest.mark.parametrize(("rate_hz", "channels"), [(44100, 1), (48000, 2), (11025, 2), (50, 1)])
def test_the_length_of_a_streamed_flac_comes_from_its_last_frame(
    header_of, frames, rate_hz, channels
):
    content = streamed(frames, rate_hz, channels)
    assert header_of(content).header.frame_count == frames
    assert header_of(content + b"TAG" + bytes(125)).header.frame_count == frames


def test_a_truncated_streamed_flac_gets_a_note(header_of):
    whole = io.BytesIO()
    noise = np.random.default_rng(0).normal(0, 0.1, 100_000)
    soundfile.write(whole, noise, 44100, format="FLAC")
    content = whole.getvalue()
    assert header_of(content, "kick").note is None
    reading = header_of(content[: len(content) // 2], "kick")
    assert 0.48 < reading.header.frame_count / 100_000 < 0.56
    assert reading.note.startswith("its header states 2.27 s of sound, but it contains 1.")


def test_frames_of_encoders_before_flac_1_2_are_not_counted(header_of):
    # Given frames as programs before FLAC 1.2 wrote them, of various lengths
    content = bytearray(streamed(20_000))
    content[8:10] = b"\0\x10"
    # When the header is read, it states no length
    assert header_of(bytes(content)).header.frame_count is None


@pytest.mark.parametrize("sound", [b"?", bytes(100), b"\xff\xf8" * 40_000, b"\xff" * 70_000])
def test_without_a_frame_the_length_is_unknown(header_of, sound):
    content = streamed(10)
    content = content[: content.index(b"\xff\xf8")] + sound
    assert header_of(content).header.frame_count is None


def test_streaminfo_need_not_be_the_first_block(header_of):
    content = b"fLaC" + block(8) + GOOD[4:]
    assert header_of(content).header.frame_count == sounds.N_FRAMES


@pytest.mark.parametrize(
    ("bits", "sample_type"),
    [(4, "PCM_S8"), (8, "PCM_S8"), (12, "PCM_16"), (20, "PCM_24"), (32, "PCM_32")],
)
def test_any_bit_depth_is_read(header_of, bits, sample_type):
    content = bytearray(GOOD)
    content[20] = content[20] & 0xFE | (bits - 1) >> 4
    content[21] = content[21] & 0x0F | (bits - 1 & 0xF) << 4
    header = header_of(bytes(content)).header
    assert (header.frame_count, header.sample_type) == (sounds.N_FRAMES, sample_type)


@pytest.mark.parametrize("nonsense", [b"\0\0\0", b"\x0a\xc4\x40"], ids=["no rate", "one bit"])
def test_impossible_values_are_refused(refusal_of, nonsense):
    content = bytearray(GOOD)
    content[18:21] = nonsense
    content[21] &= 0x0F
    assert refusal_of(bytes(content)).code is ErrorCode.INVALID_HEADER
