"""Learn from labelled names which further words indicate a category.

If all kicks of a library are called `zorp`, the word becomes evidence for kicks. A word must occur
in several packs, because in a single pack it may be the pack's name. Words of lyrics and
descriptors are never learned, because they occur in names of any category.
"""

from collections import Counter, defaultdict
from typing import Final

from classifier.categories import CATEGORIES
from classifier.names.sound_words import LearnedWords, known_words
from classifier.names.tokens import tokenise
from training.data.dataset import LabelledSounds
from training.data.row_mates import tokens_of
from training.prior.naming import Naming

#: Fewest labelled names that contain a word, and fewest packs these names are from.
FEWEST_NAMES: Final = 10
FEWEST_PACKS: Final = 2

#: Share of these names that must have the same category.
_AGREEING_SHARE: Final = 0.95

_SHORTEST: Final = 3


def learned_words(sounds: LabelledSounds, naming: Naming) -> LearnedWords:
    """Return the words that occur almost only in names of one category, with that category."""
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
    """Return the words that may occur in names of any category."""
    phrases = [phrase for phrases in naming.lists.values() for phrase in phrases]
    for category in naming.categories.values():
        phrases += category.qualifiers
    return {token for phrase in phrases for token in tokenise(phrase)} | naming.unspecific
