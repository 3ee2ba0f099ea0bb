"""The vocabulary of instruments: that it is well-formed, and what words call."""

import re

import pytest

from classifier.names.instruments import instrument_of, vocabulary

ENTRIES = vocabulary().values()
ALL_WORDS = [(word, entry.name) for entry in ENTRIES for word in (*entry.words, *entry.short)]


def test_no_word_belongs_to_two_instruments():
    words = [word for word, _ in ALL_WORDS]
    assert sorted(words) == sorted(set(words))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_an_entry_is_well_formed(entry):
    assert re.fullmatch(r"[a-z]+( [a-z]+)?", entry.name)
    assert len(entry.name) <= 32, "as long as its column"
    assert entry.rank in (1, 2, 3, 4)
    assert entry.words, "something calls it"
    # Parts as names are cut into them, at most three.
    assert [word for word in entry.words if not re.fullmatch(r"[a-z]+( [a-z]+){0,2}", word)] == []
    assert [word for word in entry.short if not re.fullmatch(r"[a-z]{2,3}", word)] == []


def test_every_word_gives_its_instrument():
    called = {word: instrument_of(word.split()) for word, _ in ALL_WORDS}
    assert {word: entry and entry.name for word, entry in called.items()} == dict(ALL_WORDS)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("hi hat", "hihat"),
        ("open hi hat", "hihat"),
        ("kicks", "kick"),
        ("bassloop", "bass"),
        ("bass drum", "kick"),
        ("deep sub bass", "sub bass"),
        ("bass guitar", "bass"),
        ("piano chord", "piano"),
        ("drum kick", "kick"),
        ("kick snare", "drums"),
        ("impact riser", "riser"),
        ("riser impact", "impact"),
        ("oboe c 1 piano normal", "woodwind"),
        ("guitar flute", None),
        ("bass lead", None),
        ("bd 01", "kick"),
        ("oh 808", "hihat"),
        ("oh yeah", None),
        ("loops", None),
        ("", None),
    ],
)
def test_instruments_of_example_names(words, name):
    found = instrument_of(words.split())
    assert (found and found.name) == name
