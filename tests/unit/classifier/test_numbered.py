"""Names that differ in their number alone."""

import pytest

from classifier.names.numbered import is_descriptive, name_without_number


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
def test_takes_and_copies_of_a_sound_share_one_key(stem):
    assert name_without_number(stem) == "kick"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Kick Soft 01", "Kick Hard 01"),
        ("Kick 01 Dry", "Kick 01 Wet"),
        ("Snare 1", "Snares 1"),
        ("Bass Low", "Bass High"),
    ],
)
def test_names_with_different_words_have_different_keys(one, other):
    assert name_without_number(one) != name_without_number(other)


@pytest.mark.parametrize("stem", ["01", "(1)", "a1", "copy", ""])
def test_a_name_without_a_word_has_no_key(stem):
    assert name_without_number(stem) is None


@pytest.mark.parametrize("base", ["kick", "snare soft", "vox adlib", "bass loop", "riser"])
def test_a_name_with_a_known_word_states_what_the_sound_is(base):
    assert is_descriptive(base)


@pytest.mark.parametrize(
    "base",
    ["audio", "untitled", "sample", "new recording", "take", "insert", "channel", "slice", "stem"],
)
def test_a_generic_name_does_not_state_what_the_sound_is(base):
    assert not is_descriptive(base)


@pytest.mark.parametrize("base", ["midi", "instrument", "pattern", "cymatics titan", "aufnahme"])
def test_a_name_of_program_and_vendor_words_does_not_state_what_the_sound_is(base):
    assert not is_descriptive(base)
