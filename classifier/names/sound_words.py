"""Known sound words: the words of a name that are evidence of categories.

All other words (artists, places, sung phrases, default names of recorders) are not evidence of a
category, whatever a model predicts from them, unless they were learned from labels.
"""

import functools
import tomllib
from collections.abc import Sequence, Set
from importlib.resources import files
from typing import Final, NamedTuple, TypeAlias

from classifier.categories import CATEGORIES, category_index

#: The word list, written by `training.prior.word_list`.
WORD_LIST_FILE: Final = "sound_words.toml"

_MOST_PARTS: Final = 3
#: Abbreviations count only in names without a longer word.
LONGEST_ABBREVIATION: Final = 3

#: Words learned from labels, each with the categories that it indicates.
LearnedWords: TypeAlias = frozenset[tuple[str, tuple[str, ...]]]

#: All categories as a bit mask.
_EVERY: Final = 2 ** len(CATEGORIES) - 1


def _bits(names: Sequence[str]) -> int:
    return sum(1 << category_index(name) for name in names)


#: A name with *loop* is not a one-shot; another word indicates the instrument.
_NO_ONE_SHOTS: Final = _EVERY - _bits(["bass", "drum", "instruments", "synth"])


#: A stem is of an instrument, so the instrument's word does not contradict it.
_STEMS: Final = _bits(["stems-n-midi"])


class IndicatedCategories(NamedTuple):
    """The categories that the words of a name indicate."""

    #: Whether any word indicates a category.
    is_known: bool
    #: The categories that all such words indicate, as a bit mask.
    categories: int
    #: The known words and phrases, each with the categories that it indicates, as a bit mask.
    words: tuple[tuple[str, int], ...] = ()

    def indicates(self, category: int) -> bool:
        """Return whether all known words indicate the category with this index."""
        return self.is_known and bool(self.categories >> category & 1)

    def words_for(self, category: int) -> list[str]:
        """Return the known words that indicate the category with this index."""
        return list(dict.fromkeys(word for word, bits in self.words if bits >> category & 1))


@functools.cache
def _word_list() -> tuple[dict[str, int], dict[str, int]]:
    """Return the categories of each word or phrase (none for some) and of each abbreviation."""
    tables = tomllib.loads(
        files("classifier.names").joinpath(WORD_LIST_FILE).read_text(encoding="utf-8")
    )
    words, abbreviations = (
        {
            " ".join(word.split()): _bits(categories.split())
            for categories, text in tables[part].items()
            for word in text.split(",")
        }
        for part in ("words", "abbreviations")
    )
    return words, abbreviations


def known_words() -> Set[str]:
    """Return the words and phrases of the word list."""
    return _word_list()[0].keys()


@functools.lru_cache(maxsize=16)
def _bits_of(learned: LearnedWords) -> dict[str, int]:
    return {word: _bits(categories) for word, categories in learned}


@functools.lru_cache(maxsize=8192)  # the names of a pack differ by their numbers
def indicated_categories(
    tokens: tuple[str, ...], learned: LearnedWords = frozenset()
) -> IndicatedCategories:
    """Return the categories that the tokens of a name indicate; the longest phrases count.

    >>> indicated_categories(("deep", "kick", "<index>")).indicates(CATEGORIES.index("drum"))
    True
    >>> indicated_categories(("deep", "kick")).words_for(CATEGORIES.index("drum"))
    ['kick']
    >>> indicated_categories(("tokyo", "nights")).is_known
    False
    """
    words, abbreviations = _word_list()
    learned_bits = _bits_of(learned)
    is_short = all(len(token) <= LONGEST_ABBREVIATION or token[0] == "<" for token in tokens)
    is_stem, categories, place = False, _EVERY, 0
    known: list[tuple[str, int]] = []
    while place < len(tokens):
        for n_parts in range(min(_MOST_PARTS, len(tokens) - place), 0, -1):
            phrase = " ".join(tokens[place : place + n_parts])
            stem = phrase.removesuffix("s")
            if stem.endswith("loop"):
                categories &= _NO_ONE_SHOTS
                phrase_bits = words.get(phrase, words.get(stem.removesuffix("loop")))
            else:
                phrase_bits = words.get(phrase, words.get(stem))
            if phrase_bits is None and is_short:
                phrase_bits = abbreviations.get(phrase)
            if phrase_bits is None:
                phrase_bits = learned_bits.get(phrase)
            if phrase_bits:
                known.append((phrase, phrase_bits))
                categories &= phrase_bits
                is_stem |= phrase_bits == _STEMS
            if phrase_bits is not None:
                break  # a phrase of no category hides its words: *vocal memo*
        place += n_parts
    return IndicatedCategories(bool(known), _STEMS if is_stem else categories, tuple(known))
