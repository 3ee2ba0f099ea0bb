"""Names that differ only in their number: takes and copies of one sound."""

import re
import unicodedata
from typing import Final

from classifier.categories import category_index
from classifier.names.sound_words import indicated_categories
from classifier.names.tokens import tokenise

#: Suffixes of a name, one or several: a number, in brackets or not, or a word for a copy.
_NUMBER: Final = re.compile(
    r"(?:[\s._-]*(?:\(\s*\d+\s*\)|\[\s*\d+\s*\]|#?\d+|copy|kopie|copie))+\s*$"
)

_LETTERS: Final = re.compile(r"[^\W\d_]{2,}")


def name_without_number(stem: str) -> str | None:
    """Return the part of a name that its takes and copies share, in lower case.

    - `stem`: a name without extension.

    None if no word is left.
    """
    folded = unicodedata.normalize("NFC", stem).lower()
    base = re.sub(r"[\s._-]+", " ", _NUMBER.sub("", folded)).strip()
    return base if _LETTERS.search(base) else None


def is_descriptive(base: str) -> bool:
    """Whether all sounds with a name from `name_without_number` can be expected to sound alike.

    The name must have a known sound word: `Audio 3`, `Insert 2` and `Titan 001` may be anything,
    and so may the stems of a song.
    """
    indicated = indicated_categories(tuple(tokenise(base)))
    return indicated.is_known and not indicated.indicates(category_index("stems-n-midi"))
