"""The twelve categories, in the order every probability vector of the project uses."""

from itertools import product
from typing import Final

#: Order is part of the bundle format: column i of any probability matrix is `CATEGORIES[i]`.
CATEGORIES: Final[tuple[str, ...]] = (
    "bass",
    "bass-loop",
    "drum",
    "drum-loop",
    "effects",
    "instrumental-loops",
    "instruments",
    "kits-n-templates",
    "stems-n-midi",
    "synth",
    "synth-loop",
    "vocal",
)

N_CATEGORIES: Final = len(CATEGORIES)


def category_index(category: str) -> int:
    """Return the column of `category` in a probability matrix; ValueError when it is unknown."""
    try:
        return CATEGORIES.index(category)
    except ValueError:
        raise ValueError(
            f"unknown category {category!r}: expected one of {', '.join(CATEGORIES)}"
        ) from None


def category_named(text: str) -> str | None:
    """Return the category that a text names in any accepted spelling; None if it names none.

    Case, punctuation, plurals and the spelling of "and" are ignored: ``Stems & MIDI`` and
    ``stems_n_midi`` name the same category.
    """
    return _BY_SPELLING.get(_letters(text))


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _spellings(category: str) -> set[str]:
    """Return every accepted spelling of a category, without punctuation."""
    words = [
        ("n", "and", "") if word == "n" else (singular := _singular(word), f"{singular}s")
        for word in category.split("-")
    ]
    return set(map("".join, product(*words)))


def _singular(word: str) -> str:
    return word if word.endswith("ss") else word.removesuffix("s")


_BY_SPELLING: Final = {
    letters: category for category in CATEGORIES for letters in _spellings(category)
}
