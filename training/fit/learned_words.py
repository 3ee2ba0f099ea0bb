"""Words of labelled names that speak for a category beside those that ship.

Who names all kicks of a library `zorp` has taught that word with their labels. A word of one pack
may be the pack's own name, and a word of lyrics or a descriptor means nothing in other names.
"""

from collections import Counter, defaultdict
from typing import Final

from classifier.categories import CATEGORIES
from classifier.names.sound_words import LearnedWords, known_words
from classifier.names.tokens import tokenise
from training.data.dataset import LabelledSounds
from training.data.row_mates import tokens_of
from training.prior.naming import Naming

#: Labelled names that hold a word, and the packs they are of.
FEWEST_NAMES: Final = 10
FEWEST_PACKS: Final = 2

#: This share of them has one category.
_AGREEING_SHARE: Final = 0.95

_SHORTEST: Final = 3


def learned_words(sounds: LabelledSounds, naming: Naming) -> LearnedWords:
    """Return the words that nearly always stand in names of one category, with it."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, tokens in enumerate(tokens_of(sounds)):
        for token in set(tokens):
            rows_of[token].append(row)
    passed_over = known_words() | _meaningless(naming)
    learned = set()
    for word, rows in rows_of.items():
        if word.startswith("<") or len(word) < _SHORTEST or word in passed_over:
            continue
        packs = {(sounds.vendors[row], sounds.packs[row]) for row in rows}
        counts = Counter(sounds.category_indices[rows].tolist())
        [(category, count)] = counts.most_common(1)
        is_enough = len(rows) >= FEWEST_NAMES and len(packs) >= FEWEST_PACKS
        if is_enough and count >= _AGREEING_SHARE * len(rows):
            learned.add((word, (CATEGORIES[category],)))
    return frozenset(learned)


def _meaningless(naming: Naming) -> set[str]:
    """Return the words that any category's names may hold."""
    phrases = [phrase for phrases in naming.lists.values() for phrase in phrases]
    for category in naming.categories.values():
        phrases += category.qualifiers
    return {token for phrase in phrases for token in tokenise(phrase)} | naming.unspecific
