"""What chunks beside the sound state: read where they make sense, not stated where they do not."""

import math
import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.headers import loop_metadata
from classifier.headers.loop_metadata import LoopInfo
from tests.support import sounds
from tests.support.riff_chunks import (
    acid,
    basc,
    chunk,
    chunks_of,
    form,
    info,
    inst,
    riff,
    smpl,
    wav,
)

FMT, DATA = wav()
AIFF = chunks_of(sounds.encoded("AIFF"), ">")
LOOP = LoopInfo(is_one_shot=False, beats=8, tempo_bpm=126.5)


@pytest.fixture
def info_of_wav(header_of):
    """What is learned of a WAV that has these chunks behind its sound."""
    return lambda *parts: header_of(riff(FMT, DATA, *parts)).header.loop_info


@pytest.fixture
def info_of_aiff(header_of):
    def read(*parts):
        content = form(AIFF[b"COMM"], AIFF[b"SSND"], *parts)
        return header_of(content, "kick.aif").header.loop_info

    return read


# Where they are found


@pytest.mark.parametrize(
    "order", ["hint format sound", "format hint sound", "format sound hint", "sound hint format"]
)
def test_loop_chunks_are_read_before_and_after_the_samples(header_of, order):
    parts = {"format": FMT, "sound": DATA, "hint": acid(4, beats=8, tempo_bpm=126.5)}
    header = header_of(riff(*(parts[name] for name in order.split()))).header
    assert header.loop_info == LOOP
    plain = header_of(riff(FMT, DATA)).header
    assert header._replace(file_size_bytes=0, loop_info=None) == plain._replace(file_size_bytes=0)


def test_a_wav_without_loop_chunks_has_no_loop_metadata(info_of_wav):
    assert info_of_wav() is None
    assert info_of_wav(chunk(b"cue ", bytes(28)), chunk(b"LIST", b"adtl")) is None


def test_rifx_loop_chunks_are_read(layout_of):
    fmt = chunk(b"fmt ", struct.pack(">HHIIHH", 1, 1, 44100, 88200, 2, 16), order=">")
    data = chunk(b"data", bytes(200), order=">")
    hint = acid(4, beats=8, tempo_bpm=126.5, order=">")
    assert layout_of(riff(fmt, data, hint, magic=b"RIFX", order=">")).loop_info == LOOP


def test_the_first_of_two_chunks_with_one_id_counts(info_of_wav):
    assert info_of_wav(acid(4, beats=8, tempo_bpm=126.5), acid(1)) == LOOP


def test_info_texts_are_found_after_other_lists(info_of_wav):
    found = info_of_wav(chunk(b"LIST", b"adtl" + bytes(40)), info(INAM=b"Deep"))
    assert found == LoopInfo(title="Deep")


def test_samples_of_unknown_length_are_not_searched_for_chunks(header_of):
    # Given a recording whose length was never written, whose sound looks like a chunk
    content = riff(FMT, chunk(b"data", acid(1) + bytes(200), stated=0))
    assert header_of(content).header.loop_info is None


def test_loop_chunks_do_not_change_the_input_of_libsndfile(layout_of, stand_in_of):
    plain = stand_in_of(lambda: layout_of(riff(FMT, DATA)))
    assert plain is not None
    parts = (acid(1, beats=9), smpl(n_loops=2), info(INAM=b"Deep"))
    assert stand_in_of(lambda: layout_of(riff(*parts, FMT, DATA))) == plain
    assert stand_in_of(lambda: layout_of(riff(FMT, DATA, *parts))) == plain


@pytest.fixture
def reads(monkeypatch):
    """The lengths of all reads since."""
    lengths = []
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, n, at: lengths.append(n) or pread(fd, n, at))
    return lengths


def test_thousands_of_chunks_after_the_samples_are_not_read_to_the_end(header_of, reads):
    lists = [chunk(b"LIST", bytes(600))] * 5000
    header = header_of(riff(FMT, DATA, *lists, acid(1))).header
    assert (header.frame_count, header.loop_info) == (sounds.N_FRAMES, None)
    assert len(reads) < 2 * 256 + 10


def test_a_plain_wav_takes_one_read(header_of, reads):
    header_of(riff(FMT, DATA))
    assert reads == [4096]


# ACID


def test_a_one_shot_has_neither_tempo_nor_beats(info_of_wav):
    assert info_of_wav(acid(5, beats=1, tempo_bpm=120.0)) == LoopInfo(is_one_shot=True)


def test_default_values_written_by_tools_are_ignored(info_of_wav):
    assert info_of_wav(acid(tempo_bpm=120.0)) is None
    assert info_of_wav(acid()) is None
    assert info_of_wav(smpl(note=60)) is None


def test_a_tempo_other_than_the_default_counts_without_beats(info_of_wav):
    assert info_of_wav(acid(tempo_bpm=128.0)) == LoopInfo(is_one_shot=False, tempo_bpm=128.0)


@pytest.mark.parametrize(
    "tempo_bpm", [math.nan, math.inf, -math.inf, -120.0, 0.0, 1e-30, 3e38, 19.9, 400.1]
)
def test_an_absurd_tempo_is_not_stated(info_of_wav, tempo_bpm):
    found = info_of_wav(acid(beats=8, tempo_bpm=tempo_bpm))
    assert found == LoopInfo(is_one_shot=False, beats=8)


@pytest.mark.parametrize("beats", [0, 2**31, 2**32 - 1])
def test_absurd_beats_are_not_stated(info_of_wav, beats):
    assert info_of_wav(acid(beats=beats, tempo_bpm=99.0)).beats is None


@pytest.mark.parametrize(
    ("flags", "note", "root_note"), [(2, 57, 57), (0, 57, None), (2, 128, None), (2, 65535, None)]
)
def test_a_root_note_counts_if_its_flag_is_set(info_of_wav, flags, note, root_note):
    found = info_of_wav(acid(flags, note, beats=8, tempo_bpm=99.0))
    assert found.root_note == root_note


@pytest.mark.parametrize("length", [0, 1, 23])
def test_a_chunk_that_is_too_short_is_ignored(info_of_wav, length):
    assert info_of_wav(chunk(b"acid", acid(1)[8 : 8 + length])) is None


def test_a_truncated_chunk_is_ignored(header_of):
    whole = riff(FMT, DATA, acid(1))
    assert header_of(whole).header.loop_info is not None
    assert header_of(whole[:-1]).header.loop_info is None


# Samplers


def test_a_sampler_chunk_gives_its_root_note_and_its_loop(info_of_wav):
    assert info_of_wav(smpl(note=65, n_loops=1)) == LoopInfo(root_note=65, has_sustain_loop=True)
    assert info_of_wav(smpl(note=48)) == LoopInfo(root_note=48)
    assert info_of_wav(smpl(note=60, n_loops=1)) == LoopInfo(root_note=60, has_sustain_loop=True)


def test_a_loop_count_without_loops_gives_no_loop(info_of_wav):
    assert info_of_wav(smpl(stated_loops=2**32 - 1)) is None


def test_the_root_note_of_acid_takes_precedence_over_smpl(info_of_wav):
    assert info_of_wav(smpl(note=40), acid(3, note=57)).root_note == 57


def test_an_aiff_has_a_root_note_a_loop_and_a_name(info_of_aiff):
    parts = (inst(note=50, play_mode=1), chunk(b"NAME", b"Deep Bass", order=">"))
    expected = LoopInfo(root_note=50, has_sustain_loop=True, title="Deep Bass")
    assert info_of_aiff(*parts) == expected
    assert info_of_aiff(inst()) is None


# Apple Loops


def test_an_apple_loop_gives_beats_and_key(info_of_aiff):
    expected = LoopInfo(is_one_shot=False, beats=16, root_note=57, is_minor=True)
    assert info_of_aiff(basc(beats=16, note=57, scale=1)) == expected


def test_an_ambiguous_kind_field_does_not_change_the_key(info_of_aiff):
    assert info_of_aiff(basc(kind=1)) == LoopInfo(root_note=57, is_minor=True)


def test_the_default_c_major_is_no_key(info_of_aiff):
    found = info_of_aiff(basc(note=48, scale=2))
    assert found == LoopInfo(is_one_shot=False, beats=16)


# Texts


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        (b"Deep Bass", "Deep Bass"),
        ("Größe".encode(), "Größe"),
        ("Größe".encode("latin-1"), "Größe"),
        (b"a\nb\x1b[2Jc", "a b [2Jc"),
        (b"\xe2\x80\xaegpj", "gpj"),
        (b"  two   words ", "two words"),
        (b"x" * 500, "x" * 80),
        (b"", None),
        (b" \t\r\n", None),
    ],
    ids=ascii,
)
def test_a_title_is_short_and_printable(info_of_wav, raw, title):
    assert info_of_wav(info(INAM=raw), acid(1)).title == title


def test_a_text_truncated_within_a_letter_keeps_the_letters_before(info_of_wav):
    text = "音" * 300
    assert info_of_wav(info(INAM=text.encode())).title == "音" * 80


def test_genre_and_key_words_are_read(info_of_wav):
    found = info_of_wav(info(IGNR=b"Techno", ISFT=b"a program", IKEY=b"dark, deep"))
    assert found == LoopInfo(genre="Techno", key_words="dark, deep")


def test_a_text_with_a_wrong_length_ends_with_its_chunk(info_of_wav):
    forged = chunk(b"LIST", b"INFO" + chunk(b"INAM", b"Deep", stated=2**32 - 1))
    assert info_of_wav(forged).title == "Deep"


# Anything


@given(st.dictionaries(st.sampled_from([b"acid", b"smpl", b"INFO"]), st.binary(max_size=512)))
def test_no_wav_bytes_raise_an_error(chunks):
    for order in "<>":
        found = loop_metadata.of_wav(chunks, order)
        assert found is None or found.tempo_bpm is None or 20 <= found.tempo_bpm <= 400


@given(st.dictionaries(st.sampled_from([b"basc", b"INST", b"NAME"]), st.binary(max_size=120)))
def test_no_aiff_bytes_raise_an_error(chunks):
    found = loop_metadata.of_aiff(chunks)
    assert found is None or found.root_note is None or 0 <= found.root_note <= 127
