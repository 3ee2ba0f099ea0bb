"""Headers that nobody wrote by accident: whatever comes, a reading or a typed refusal comes out."""

import os
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from classifier.errors import ErrorCode, SoundError
from classifier.headers.reader import HeaderReading, read_header
from tests.support import sounds
from tests.support.descriptors import as_descriptor
from tests.support.riff_chunks import chunk, chunks_of, form, riff, wav

FMT, DATA = wav()
AIFF = chunks_of(sounds.encoded("AIFF"), ">")

#: One file for each reader in libsndfile, with the chunks that have readers of their own.
SEEDS = [
    *[sounds.encoded(name) for name in ("WAVEX", "RF64", "AIFF", "FLAC", "OGG", "MP3", "AU")],
    *[sounds.encoded("CAF", subtype) for subtype in ("PCM_16", "ALAC_16")],
    *[sounds.encoded(name, sub) for name in ("WAV", "W64") for sub in ("MS_ADPCM", "PCM_24")],
    sounds.encoded("AIFF", "FLOAT"),
    sounds.encoded("WAV", "IMA_ADPCM"),
    riff(FMT, chunk(b"LIST", b"INFO" + chunk(b"ISFT", b"us") + chunk(b"what", b"this")), DATA),
    riff(FMT, DATA, chunk(b"LIST", b"adtl" + chunk(b"labl", bytes(8)) + chunk(b"what", b"this"))),
    riff(FMT, chunk(b"cue ", struct.pack("<I", 2) + bytes(48)), chunk(b"smpl", bytes(60)), DATA),
    riff(FMT, chunk(b"bext", bytes(610)), chunk(b"cart", bytes(2060)), DATA),
    riff(FMT, chunk(b"acid", bytes(24)), chunk(b"strc", bytes(68)), chunk(b"inst", bytes(7)), DATA),
    form(AIFF[b"COMM"], chunk(b"MARK", b"\0\1\0\1\0\0\0\1\3abc", order=">"), AIFF[b"SSND"]),
    form(AIFF[b"COMM"], AIFF[b"SSND"], chunk(b"INST", bytes(20), order=">")),
    b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + sounds.encoded("MP3"),
    b"",
]

#: Lengths at which 32- and 64-bit arithmetic turns over.
LENGTHS = st.sampled_from(
    [
        *[struct.pack(order + "I", length) for order in "<>" for length in (0, 1, 3, 0x7FFFFFFF)],
        *[struct.pack(order + "I", 2**32 - back) for order in "<>" for back in (1, 8, 32, 65536)],
        *[struct.pack(order + "Q", 2**64 - back) for order in "<>" for back in (1, 24, 64)],
        *[struct.pack(order + "Q", 2**63 - 1) for order in "<>"],
    ]
)

#: Where, what, and whether it is put in the place of as many bytes or between them.
EDIT = st.tuples(st.integers(0, 400), st.one_of(LENGTHS, st.binary(max_size=4)), st.booleans())


@st.composite
def mutants(draw):
    """A file that was good, or nearly so, before it was edited in a few places and cut."""
    content = bytearray(draw(st.sampled_from(SEEDS)))
    for place, new, instead in draw(st.lists(EDIT, max_size=4)):
        # Half of the places count from the end, where the last chunks are.
        start = place // 2 if place % 2 else max(0, len(content) - place // 2)
        content[start : start + (len(new) if instead else 0)] = new
    end = draw(st.one_of(st.none(), st.integers(0, len(content))))
    return bytes(content[:end])


def outcome_of(content, folder):
    with as_descriptor(content, folder) as fd:
        try:
            return read_header(fd, len(content), "kick.wav")
        except SoundError as refused:
            return refused


@settings(max_examples=1500)
@given(mutants())
@example(SEEDS[-1])
def test_a_mutated_file_gives_a_header_or_a_typed_error(tmp_path, content):
    outcome = outcome_of(content, tmp_path)
    assert isinstance(outcome, (HeaderReading, SoundError))
    if isinstance(outcome, HeaderReading):
        header = outcome.header
        assert 0 < header.channels <= 256
        assert 0 < header.sample_rate_hz <= 1_000_000
        assert header.frame_count is None or 0 < header.frame_count <= 2**43
        assert header.sample_type != "IMA_ADPCM"
    else:
        assert outcome.message.isprintable()


@settings(max_examples=300)
@given(st.binary(max_size=64), st.sampled_from([seed[:12] for seed in SEEDS]))
def test_noise_after_a_valid_start_gives_a_typed_error(tmp_path, noise, beginning):
    outcome = outcome_of(beginning + noise, tmp_path)
    assert isinstance(outcome, (HeaderReading, SoundError))


@pytest.mark.parametrize(
    "forged",
    [
        riff(FMT, chunk(b"JUNK", b"", stated=0xFFFFFFF8), DATA),
        sounds.encoded("W64")[:96] + struct.pack("<Q", 2**62),
    ],
    ids=["junk", "W64"],
)
def test_a_stated_length_of_gigabytes_in_a_small_file_is_not_accepted(refusal_of, forged):
    assert refusal_of(forged).code in (ErrorCode.TRUNCATED, ErrorCode.INVALID_HEADER)


def test_a_refused_file_leaves_no_open_descriptor(tmp_path):
    before = set(os.listdir("/dev/fd"))
    for seed in SEEDS:
        outcome_of(seed[:40], tmp_path)
    assert set(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize(
    "beginning",
    [
        form(AIFF[b"COMM"], chunk(b"SSND", bytes(8), order=">", stated=0)),
        riff(FMT, chunk(b"data", b"", stated=0)),
        sounds.encoded("AU")[:24].replace(b"\0\0\x11\x3a", b"\xff" * 4),
    ],
    ids=["AIFF", "WAV", "AU"],
)
def test_a_length_beyond_32_bits_is_read_from_the_file_size(tmp_path, beginning):
    # Given a file of over four gigabytes (a sparse one) that leaves its length open
    path = tmp_path / "kick"
    path.write_bytes(beginning)
    size = 2**32 + 10**6
    os.truncate(path, size)
    # When its header is read
    with path.open("rb") as file:
        try:
            outcome = read_header(file.fileno(), size, "kick.wav")
        except SoundError as refused:
            outcome = refused
    # Then it is as long as its file, or too long for what it is
    if isinstance(outcome, SoundError):
        assert outcome.code is ErrorCode.LIMIT_EXCEEDED
    else:
        assert outcome.header.frame_count == (size - len(beginning)) // 2
