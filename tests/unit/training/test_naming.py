"""The vocabulary of names: what ships is whole, and a mistake in it is named with its place."""

import pytest

pytest.importorskip("pandas")

from importlib import resources

from classifier.categories import CATEGORIES
from training.errors import NamingError
from training.prior import word_list
from training.prior.naming import load_naming, parse_naming

SOUND_WORDS = (
    resources.files("classifier.names").joinpath("sound_words.toml").read_text(encoding="utf-8")
)
PAGE = resources.files("training.prior").joinpath("naming.toml").read_text(encoding="utf-8")


def test_every_category_has_words_and_patterns():
    naming = load_naming()
    assert tuple(naming.categories) == CATEGORIES
    assert all(own.heads and own.patterns for own in naming.categories.values())


def test_evidence_words_match_the_current_naming_file():
    # A change of naming.toml: `python -m training.prior.word_list`.
    assert word_list.word_list_text(load_naming()) == SOUND_WORDS


def test_only_loops_are_measured_in_bars():
    in_bars = {name for name, own in load_naming().categories.items() if own.bars}
    assert in_bars == {
        *(name for name in CATEGORIES if name.endswith(("loop", "loops"))),
        "kits-n-templates",
        "stems-n-midi",
    }


def test_a_category_includes_the_words_of_another():
    categories = load_naming().categories
    assert set(categories["bass"].heads) <= set(categories["bass-loop"].heads)


@pytest.mark.parametrize(
    ("written", "instead", "complaint"),
    [
        ("separators", "=", "is not valid TOML"),
        ("separators =", "separatorz =", "separators: Field required"),
        ("descriptors =", "descriptorz = 1\ndescriptors =", "descriptorz: Extra inputs"),
        ("[categories.vocal]", "[categories.vokal]", "unknown category"),
        ('short = ["SFX"', 'shirt = ["SFX"', "categories.effects.short: Field required"),
        (
            'heads_of = ["bass"]',
            'heads_of = ["base"]',
            "categories.bass-loop.heads_of: unknown category 'base'",
        ),
        ('patterns = ["beats"]', 'patterns = ["beatz"]', "'beatz' is not under"),
        ("{code} sfx {word}", "{code} sfx {wort}", "unknown field 'wort'"),
        ('"{phrase}" = 5', '"{phrase}" = 0', "{phrase}: Input should be greater than 0; got 0"),
        ('"{phrase}" = 5', '"[{phrase}]" = 5', "consists of optional parts only"),
        ("bars = [8, 16, 16, 32, 64]", "bars = [0]", "categories.stems-n-midi.bars.0"),
        ("bars = [8, 16, 16, 32, 64]", "", "either duration_seconds or bars"),
        (
            "duration_seconds = [0.03, 2.5]",
            "duration_seconds = [3, 2.5]",
            "a minimum and a larger maximum",
        ),
        ('"no", ', "7, ", "Input should be a valid string; got 7"),
        ('"no", ', '"-", ', "contains neither a letter nor a digit; got '-'"),
        ('"{0}bpm"', '"bpm"', "lacks {0}; got 'bpm'"),
    ],
)
def test_a_mistake_is_reported_with_its_place(written, instead, complaint):
    changed = PAGE.replace('short = ["FX", "SFX"', 'short = ["SFX"')
    assert written in changed
    with pytest.raises(NamingError) as refusal:
        parse_naming(changed.replace(written, instead, 1))
    assert complaint in str(refusal.value)


def test_a_missing_category_is_reported():
    without = PAGE[: PAGE.index("[categories.vocal]")]
    with pytest.raises(NamingError, match=r"categories\.vocal is missing"):
        parse_naming(without)
