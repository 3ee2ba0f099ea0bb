"""Names that differ in their number alone: takes and copies of one sound."""

import re
import unicodedata
from typing import Final

from classifier.categories import category_index
from classifier.names.sound_words import spoken
from classifier.names.tokens import tokenise

#: At the end of a name, once or several times: a number, in brackets or not; what file managers
#: call a copy.
_NUMBER: Final = re.compile(
    r"(?:[\s._-]*(?:\(\s*\d+\s*\)|\[\s*\d+\s*\]|#?\d+|copy|kopie|copie))+\s*$"
)

_LETTERS: Final = re.compile(r"[^\W\d_]{2,}")


def name_without_number(stem: str) -> str | None:
    """Return what a name without extension has in common with its takes and copies, in lower case.

    None where no word is left.
    """
    folded = unicodedata.normalize("NFC", stem).lower()
    base = re.sub(r"[\s._-]+", " ", _NUMBER.sub("", folded)).strip()
    return base if _LETTERS.search(base) else None


def tells_what_it_is(base: str) -> bool:
    """Whether a name of `name_without_number` tells that all that are called so sound alike.

    It must have a word that makers of sounds use: `Audio 3`, `Insert 2` and `Titan 001` may be
    anything, and so may the stems of a song.
    """
    told = spoken(tuple(tokenise(base)))
    return told.is_known and not told.speaks_for(category_index("stems-n-midi"))
