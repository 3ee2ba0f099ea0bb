"""Tokens of a file name: what counts as a word, what becomes a typed token."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from classifier.names.cleaning import clean_name
from classifier.names.tokens import placed_tokens, tokenise


@pytest.mark.parametrize(
    ("file_name", "tokens"),
    [
        ("Kick.wav", ["kick"]),
        ("KICK.WAV", ["kick"]),
        ("XY_BassLoop02_128bpm_F#min.wav", ["xy", "bass", "loop", "<index>", "<bpm>", "<minor>"]),
        ("beat 128 BPM.mp3", ["beat", "<bpm>"]),
        ("Bpm110_riff.wav", ["<bpm>", "riff"]),
        ("XY_128_piano.wav", ["xy", "<tempo>", "piano"]),
        ("rim-007.flac", ["rim", "<index>"]),
        ("take 1999.ogg", ["take", "<number>"]),
        ("TR808kick.wav", ["tr", "808", "kick"]),
        ("oboe_Cs4_forte.mp3", ["oboe", "<note>", "forte"]),
        ("pad eb5.wav", ["pad", "<note>"]),
        ("lead_Am.wav", ["lead", "<minor>"]),
        ("lead_Gmajor.wav", ["lead", "<major>"]),
        ("lead_A#maj.wav", ["lead", "<major>"]),
        ("09_pad_c_minor_soft.wav", ["<index>", "pad", "<minor>", "soft"]),
        ("pad Fsharp minor.wav", ["pad", "<minor>"]),
        ("bass_F#.wav", ["bass", "<root>"]),
        ("F♯min riff.wav", ["<minor>", "riff"]),
        ("I am here.wav", ["i", "am", "here"]),
        ("Überraschung.wav", ["uberraschung"]),
        ("Эхо 12.wav", ["эхо", "<index>"]),
        ("Хай-хэт 12.wav", ["hi", "hat", "<index>"]),
        ("Bass4A 124.wav", ["bass", "<index>", "<tempo>"]),
    ],
)
def test_words_numbers_and_pitches_become_tokens(file_name, tokens):
    assert tokenise(file_name) == tokens


@pytest.mark.parametrize(
    "file_name",
    ["", "....wav", "_-_.wav", "\ud800", "\x00\x1b", "🥁.wav", "\u200b.wav", "2021-03-04.wav"],
)
def test_a_name_without_letters_and_digits_has_one_special_token(file_name):
    assert tokenise(file_name) == ["<empty>"]


@given(st.text(st.characters(), max_size=300))
@example("\ud800kick\udfff")
@example("9" * 10_000)
@example("Aa" * 5_000)
@example("A" * 10_000 + "b")
@example("#" * 10_000)
@example("²⅓፩٣")
def test_every_string_has_deterministic_lower_case_tokens(file_name):
    tokens = tokenise(file_name)
    assert tokens
    assert all(tokens)
    assert tokens == tokenise(file_name)


@pytest.mark.parametrize(
    ("file_name", "texts"),
    [
        ("XY_BassLoop02_128bpm_F#min.wav", ["XY", "Bass", "Loop", "02", "128bpm", "F#min"]),
        ("kick 128 BPM C minor.wav", ["kick", "128 BPM", "C minor"]),
        ("Bpm_90.wav", ["Bpm_90"]),
        ("___.wav", []),
    ],
)
def test_a_token_has_the_position_of_its_text(file_name, texts):
    name = clean_name(file_name)
    assert [name[start:end] for _, start, end in placed_tokens(file_name)] == texts
