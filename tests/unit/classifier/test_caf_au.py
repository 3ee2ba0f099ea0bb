"""Core Audio and Sun audio: how long a sound is, said or not said, and what is not shown."""

import io
import struct

import numpy as np
import pytest
import soundfile

from classifier.errors import ErrorCode
from tests.support import sounds

FRAMES = sounds.N_FRAMES


def caf_chunks(file):
    """Return the chunks of a whole CAF by name, as they stand in it."""
    found, offset = {}, 8
    while offset + 12 <= len(file):
        (length,) = struct.unpack_from(">Q", file, offset + 4)
        found[file[offset : offset + 4]] = file[offset : offset + 12 + length]
        offset += 12 + length
    return found


def caf(*chunks):
    return b"caff\0\1\0\0" + b"".join(chunks)


def chunk(name, body, stated=None):
    return name + struct.pack(">q", len(body) if stated is None else stated) + body


PLAIN = caf_chunks(sounds.encoded("CAF"))
DESC, DATA = PLAIN[b"desc"], PLAIN[b"data"]
ALAC = caf_chunks(sounds.encoded("CAF", "ALAC_24", 2))
AU = sounds.encoded("AU")


def au_with(offset=24, stated=None, encoding=3, behind=b""):
    sound = AU[24:]
    length = len(sound) if stated is None else stated
    return struct.pack(">4sIIIII", b".snd", offset, length, encoding, 44100, 1) + behind + sound


# Lengths


def test_a_caf_without_a_stated_length_extends_to_the_end_of_the_file(header_of):
    streamed = caf(DESC, chunk(b"data", DATA[12:], stated=-1))
    assert header_of(streamed).header.frame_count == FRAMES


@pytest.mark.parametrize("stated", [0xFFFFFFFF, 0])
def test_an_au_without_a_stated_length_extends_to_the_end_of_the_file(header_of, stated):
    assert header_of(au_with(stated=stated)).header.frame_count == FRAMES


@pytest.mark.parametrize("offset", [0, 20])
def test_the_samples_of_an_au_start_after_its_header_at_the_earliest(header_of, offset):
    assert header_of(au_with(offset=offset)).header.frame_count == FRAMES


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT", "ULAW"])
def test_a_byte_swapped_au_is_read(header_of, subtype):
    file = io.BytesIO()
    soundfile.write(file, np.zeros(100), 44100, subtype, "LITTLE", "AU")
    assert file.getvalue().startswith(b"dns.")
    header = header_of(file.getvalue()).header
    assert (header.frame_count, header.sample_type) == (100, subtype)


def test_an_au_may_have_a_comment_before_its_samples(header_of):
    content = au_with(offset=24 + 5000, behind=b"words" * 1000)
    assert header_of(content).header.frame_count == FRAMES


def test_bytes_after_the_samples_are_not_counted(header_of):
    assert header_of(AU + bytes(1000)).header.frame_count == FRAMES
    assert header_of(caf(DESC, DATA, chunk(b"info", bytes(1000)))).header.frame_count == FRAMES


@pytest.mark.parametrize(
    "content",
    [caf(DESC, chunk(b"data", bytes(4))), au_with()[:24].replace(AU[8:12], bytes(4))],
    ids=["CAF", "AU"],
)
def test_a_file_without_samples_is_empty(refusal_of, content):
    assert refusal_of(content).code is ErrorCode.EMPTY_FILE


@pytest.mark.parametrize(
    "content",
    [caf(DESC, chunk(b"data", bytes(400), stated=2**62)), au_with(stated=2**30)],
    ids=["CAF", "AU"],
)
def test_a_stated_length_of_gigabytes_in_a_small_file_is_not_accepted(refusal_of, content):
    assert refusal_of(content).code is ErrorCode.TRUNCATED


# What libsndfile is not shown


@pytest.mark.parametrize(
    "chunks",
    [
        [DESC, chunk(b"free", bytes(9000)), DATA],
        [DESC, chunk(b"chan", bytes(12)), chunk(b"info", b"\xff" * 99), DATA],
        [DESC, DATA, chunk(b"strg", bytes(8), stated=2**63 - 1)],
        [DESC, chunk(b"peak", b"\xff"), DATA, DESC[:-1] + b"\x08"],
    ],
    ids=["far away", "odd ones", "an endless one", "a second format"],
)
def test_libsndfile_gets_only_the_format_and_the_length(layout_of, chunks):
    assert layout_of(caf(*chunks)).source == layout_of(caf(DESC, DATA)).source


def test_no_alac_decoder_is_initialised(header_of, monkeypatch):
    # Given that libsndfile would decode the last packet to count the frames
    content = caf(ALAC[b"desc"], chunk(b"kuki", b"\xff" * 48), ALAC[b"pakt"], ALAC[b"data"])
    monkeypatch.setattr(soundfile, "SoundFile", None)
    # When such a file is read
    header = header_of(content).header
    # Then the values come from its packet table
    assert (header.frame_count, header.sample_rate_hz) == (FRAMES, 44100)
    assert (header.channels, header.sample_type) == (2, "ALAC_24")


def test_the_packet_table_may_follow_the_samples(header_of):
    content = caf(ALAC[b"desc"], ALAC[b"data"], ALAC[b"kuki"], ALAC[b"pakt"])
    assert header_of(content).header.frame_count == FRAMES


def test_alac_written_by_ffmpeg_is_read(header_of):
    # Given the bits only in the codec's header, after two others, and the last packet counted as
    # full
    desc = ALAC[b"desc"][:24] + bytes(4) + ALAC[b"desc"][28:]
    cookie = struct.pack(">I4s4sI4sI", 12, b"frma", b"alac", 36, b"alac", 0) + ALAC[b"kuki"][12:]
    packets = chunk(b"pakt", struct.pack(">qqII", 1, 4096, 0, 0) + ALAC[b"pakt"][36:38])
    content = caf(desc, chunk(b"kuki", cookie), ALAC[b"data"], packets)
    # When its header is read
    header = header_of(content).header
    # Then the last packet states its number of frames
    assert (header.frame_count, header.channels, header.sample_type) == (FRAMES, 2, "ALAC_24")


# What is refused


def alac(rate_hz=44100.0, flags=1, packets=None):
    desc = chunk(b"desc", struct.pack(">d4sIIIII", rate_hz, b"alac", flags, 0, 4096, 2, 0))
    return caf(desc, ALAC[b"pakt"] if packets is None else packets, ALAC[b"data"])


@pytest.mark.parametrize(
    "content",
    [
        caf(DESC),
        caf(DESC[:40]),
        caf(ALAC[b"desc"], ALAC[b"data"]),
        alac(flags=0),
        alac(flags=9),
        alac(rate_hz=float("nan")),
        alac(rate_hz=float("inf")),
        alac(rate_hz=0.0),
        alac(rate_hz=-1.0),
        alac(packets=chunk(b"pakt", b"")[:12]),
        AU[:20],
    ],
)
def test_an_invalid_header_is_refused(refusal_of, content):
    assert refusal_of(content).code in (ErrorCode.INVALID_HEADER, ErrorCode.UNSUPPORTED_FORMAT)


def test_the_unmodified_test_files_are_valid(header_of):
    assert header_of(caf(DESC, DATA)).header.frame_count == FRAMES
    assert header_of(alac()).header.frame_count == FRAMES
    assert header_of(au_with()).header.frame_count == FRAMES


@pytest.mark.parametrize("n_frames", [-1, 0])
def test_an_impossible_frame_count_is_refused(refusal_of, n_frames):
    packets = chunk(b"pakt", struct.pack(">qqII", 1, n_frames, 0, 0))
    assert refusal_of(alac(packets=packets)).code is ErrorCode.EMPTY_FILE


def test_a_file_of_thousands_of_chunks_is_not_read_to_its_end(refusal_of):
    refused = refusal_of(caf(DESC, *[chunk(b"free", b"")] * 5000, DATA))
    assert refused.code is ErrorCode.LIMIT_EXCEEDED
