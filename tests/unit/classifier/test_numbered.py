"""Names that differ in their number alone."""

import pytest

from classifier.names.numbered import name_without_number


@pytest.mark.parametrize(
    "stem",
    [
        "Kick 01",
        "kick_2",
        "KICK-003",
        "Kick",
        "kick (1)",
        "Kick copy",
        "Kick - Kopie",
        "Kick copy 2",
    ],
)
def test_takes_and_copies_of_a_sound_have_one_name(stem):
    assert name_without_number(stem) == "kick"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Kick Soft 01", "Kick Hard 01"),
        ("Kick 01 Dry", "Kick 01 Wet"),
        ("Snare 1", "Snares 1"),
        ("Bass A", "Bass B"),
    ],
)
def test_names_that_differ_in_words_are_two(one, other):
    assert name_without_number(one) != name_without_number(other)


@pytest.mark.parametrize(
    "stem",
    ["01", "Audio 3", "Untitled 2", "DR0000_0123", "Sample 12", "Samples 12", "Take 4", "New 2"],
)
def test_a_name_that_anything_may_have_has_no_takes(stem):
    assert name_without_number(stem) is None


@pytest.mark.parametrize("stem", ["a1", "New Recording 5", "STE-001", "(1)", "copy", ""])
def test_nor_has_one_without_a_word(stem):
    assert name_without_number(stem) is None
