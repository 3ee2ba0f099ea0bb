"""Lengths that headers state: left open by pipes in all their spellings, or a little too large."""

import struct

import pytest

from classifier.errors import ErrorCode
from tests.support import sounds
from tests.support.riff_chunks import acid, chunk, chunks_of, form, riff, wav

FMT, DATA = wav()
SOUND = DATA[8 : 8 + 2 * sounds.N_FRAMES]
AIFF = chunks_of(sounds.encoded("AIFF"), ">")
FRAMES = sounds.N_FRAMES

#: 32 bits: all ones and none, less headers of several lengths; whole blocks; negative numbers.
OPEN = (
    *(0, 0xFFFFFFFF, 0xFFFFFFFF - 8, 0xFFFFFFDB, 0xFFFFFFD3, 0xFFFFEE0F, 0xFFFFF000),
    *(0x7FFFFFFF, 0x7FFFFFDB, 0x7FFFF000, 0x7F000008, 0x80000000, 0x80000024),
)


def wav_stating(data_length, riff_length=None):
    whole = riff(FMT, chunk(b"data", SOUND, stated=data_length))
    length = len(whole) - 8 if riff_length is None else riff_length
    return whole[:4] + struct.pack("<I", length % 2**32) + whole[8:]


def aiff_stating(length):
    return form(AIFF[b"COMM"], AIFF[b"SSND"].replace(AIFF[b"SSND"][4:8], struct.pack(">I", length)))


def w64_stating(length, outer=None):
    whole = sounds.encoded("W64")
    at = whole.index(b"data") + 16
    whole = whole[:at] + struct.pack("<Q", length) + whole[at + 8 :]
    return whole if outer is None else whole[:16] + struct.pack("<Q", outer) + whole[24:]


def rf64_stating(length, outer=None, magic=b"RF64"):
    sizes = struct.pack("<QQQI", 4 + 36 + 24 + 8 + len(SOUND), length, FRAMES, 0)
    data = chunk(b"data", SOUND, stated=0xFFFFFFFF)
    whole = riff(chunk(b"ds64", sizes), FMT, data, magic=magic)
    return whole[:4] + b"\xff" * 4 + whole[8:]


def au_stating(length):
    whole = sounds.encoded("AU")
    return whole[:8] + struct.pack(">I", length) + whole[12:]


def caf_stating(length):
    whole = sounds.encoded("CAF")
    at = whole.index(b"data") + 4
    return whole[:at] + struct.pack(">q", length) + whole[at + 8 :]


def of(reading):
    return reading.header.frame_count, reading.note


# Left open


@pytest.mark.parametrize("length", OPEN, ids=hex)
def test_a_placeholder_length_extends_to_the_end_of_the_file(header_of, length):
    for content in (
        wav_stating(length, length + 36),
        wav_stating(length),
        aiff_stating(length),
        au_stating(length),
        rf64_stating(length),
        rf64_stating(length, magic=b"BW64"),
        w64_stating(length, length),
    ):
        assert of(header_of(content, "kick")) == (FRAMES, None)


@pytest.mark.parametrize("length", [2**64 - 1, 2**64 - 129, 2**63 - 1, 2**63 - 129], ids=hex)
def test_a_64_bit_placeholder_length_extends_to_the_end_of_the_file(header_of, length):
    for content in (w64_stating(length, length), rf64_stating(length)):
        assert of(header_of(content, "kick")) == (FRAMES, None)


def test_an_aiff_may_state_zero_frames(refusal_of):
    assert refusal_of(aiff_stating(8)).code is ErrorCode.EMPTY_FILE


# Too large


@pytest.mark.parametrize("excess", [2, 16, 44, 5000])
def test_a_stated_length_too_large_in_a_complete_file_gets_a_note(header_of, excess):
    # Given files whose outer length is right
    length = len(SOUND) + excess
    for content in (
        wav_stating(length),
        aiff_stating(8 + length),
        rf64_stating(length),
        w64_stating(24 + length),
    ):
        # When they are read, what is there is the sound
        frames, note = of(header_of(content, "kick"))
        assert (frames, f"{excess:,} more bytes" in note) == (FRAMES, True)


@pytest.mark.parametrize("excess", [2, 24, 44])
def test_a_stated_length_that_includes_the_header_gets_a_note(header_of, excess):
    length = len(SOUND) + excess
    for content in (
        wav_stating(length, 36 + length),
        wav_stating(length, 0),
        wav_stating(length, 0xFFFFFFFF),
        au_stating(length),
        caf_stating(4 + length),
    ):
        frames, note = of(header_of(content, "kick"))
        assert (frames, f"{excess} more bytes" in note) == (FRAMES, True)


@pytest.mark.parametrize("excess", [100, 5000])
def test_a_file_shorter_than_its_container_states_is_truncated(refusal_of, excess):
    length = len(SOUND) + excess
    for content in (
        wav_stating(length, 36 + length),
        wav_stating(length, 0),
        w64_stating(24 + length, 200 + length),
        au_stating(length),
        caf_stating(4 + length),
    ):
        assert refusal_of(content).code is ErrorCode.TRUNCATED


# Where the sound starts


@pytest.mark.parametrize("offset", [1, 8, 4096])
def test_the_samples_of_an_aiff_may_start_at_an_offset(header_of, offset):
    body = struct.pack(">II", offset, 512) + bytes(offset) + AIFF[b"SSND"][16:]
    content = form(AIFF[b"COMM"], chunk(b"SSND", body, order=">"))
    assert of(header_of(content, "kick")) == (FRAMES, None)


@pytest.mark.parametrize("name", [b"LIST", b"bext", b"JUNK"])
def test_a_chunk_of_odd_length_may_lack_its_padding(header_of, name):
    odd = chunk(name, b"x" * 27)[:-1]
    for content in (riff(odd, FMT, DATA), riff(FMT, odd, DATA)):
        assert of(header_of(content, "kick")) == (FRAMES, None)
    odd = chunk(name, b"x" * 27, order=">")[:-1]
    for content in (
        form(odd, AIFF[b"COMM"], AIFF[b"SSND"]),
        form(AIFF[b"COMM"], odd, AIFF[b"SSND"]),
    ):
        assert of(header_of(content, "kick")) == (FRAMES, None)


def test_loop_chunks_are_found_after_samples_without_padding(header_of):
    sound = chunk(b"data", bytes(27))[:-1]
    reading = header_of(riff(FMT, sound, acid(1)), "kick")
    assert reading.header.loop_info.is_one_shot
