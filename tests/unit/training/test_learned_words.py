"""Words of labels that become evidence, and those that do not."""

import pytest

pytest.importorskip("pandas")

from classifier.headers.reader import AudioHeader
from training.data.dataset import LabelledSounds
from training.fit.learned_words import FEWEST_NAMES, learned_words
from training.prior.naming import load_naming


def learned(*packs):
    """What is learned of packs, each of (names' beginning, category, how many)."""
    rows = [
        (f"{word} {number}.wav", category, f"pack {place}")
        for place, (word, category, count) in enumerate(packs)
        for number in range(count)
    ]
    names, categories, in_packs = zip(*rows, strict=True)
    nothing = [AudioHeader(None, None, None, None, None, None)] * len(names)
    sounds = LabelledSounds.from_rows(names, nothing, categories, ["me"] * len(names), in_packs)
    return dict(learned_words(sounds, load_naming()))


HALF = FEWEST_NAMES // 2


def test_a_word_of_one_category_in_two_packs_is_learned():
    assert learned(("zorp", "drum", HALF), ("Zorp", "drum", HALF)) == {"zorp": ("drum",)}


@pytest.mark.parametrize(
    "packs",
    [
        [("zorp", "drum", 3 * HALF)],
        [("zorp", "drum", HALF), ("zorp", "bass", HALF)],
        [("zorp", "drum", HALF - 1), ("zorp", "drum", HALF)],
        [("kick", "drum", HALF), ("kick", "drum", HALF)],
        [("my love", "vocal", HALF), ("my love", "vocal", HALF)],
        [("new recording", "vocal", HALF), ("new recording", "vocal", HALF)],
    ],
    ids=["one pack", "two categories", "few names", "known", "lyrics", "unspecific"],
)
def test_words_of_several_categories_or_one_pack_are_not_learned(packs):
    assert learned(*packs) == {}
