"""Prefix a name that has no relevant word with its folders' words: `Kicks/01.wav` is a kick.

`Kicks/riser_01.wav` keeps its name. Numbers and pitches of a folder are left out: `128 BPM` before
`01.wav` would be read as a tempo of 1. Models are neither trained nor measured on such names;
published figures do not depend on them.
"""

import functools
from collections.abc import Sequence
from typing import Final

from classifier.names.instruments import LONGEST_ABBREVIATION, instrument_places
from classifier.names.tokens import name_pieces, pitch_token

#: Number of innermost folders that are read; outer folders are named after packs and shops.
FOLDERS_READ: Final = 2

#: Words that indicate a category and name no instrument; a plural s and "loop" at a word's end are
#: removed first. *hit*, *shot* and *take* are not included: the folder is better evidence than
#: these.
CATEGORY_WORDS: Final = frozenset(
    {
        *("loop", "beat", "break", "groove", "fill", "melody", "melodic"),
        *("fx", "sfx", "effect", "transition", "stem", "midi", "kit", "template", "construction"),
    }
)
#: In an outer folder these words describe the pack and not the sound, if the inner folder has
#: relevant words: `Drum Kits/Kicks/01.wav`.
_COLLECTIONS: Final = frozenset({"kit", "template", "construction"})


def prefixed_name(words: str, name: str) -> str:
    """Return the base name under which a sound is classified.

    This is the name itself if it has a relevant word, else the `folder_words` and the name.

    >>> prefixed_name(folder_words(["Drums", "Kicks"]), "01.wav")
    'Drums Kicks 01.wav'
    >>> prefixed_name(folder_words(["Drums", "Kicks"]), "riser_01.wav")
    'riser_01.wav'
    """
    return f"{words} {name}" if words and not _has_relevant_word(name) else name


def folder_words(folders: Sequence[str]) -> str:
    """Return the relevant words of the last two folders, separated by spaces; may be empty.

    - `folders`: those between library root and sound, the outermost first.
    """
    words: list[str] = []
    for folder in reversed(folders[-FOLDERS_READ:]):
        outer = _relevant_words(folder)
        if words:
            outer = [word for word in outer if _stem(word) not in _COLLECTIONS]
        words = outer + words
    return " ".join(words)


def _relevant_words(text: str) -> list[str]:
    pieces = [piece for piece in name_pieces(text) if not piece.isdecimal()]
    instruments = instrument_places([piece.lower() for piece in pieces])
    return [
        piece
        for place, piece in enumerate(pieces)
        if (place in instruments or _is_category_word(piece)) and pitch_token(piece) is None
    ]


def _has_relevant_word(name: str) -> bool:
    # Nearly all names have a word that is relevant in any context.
    return any(map(_is_relevant_alone, name_pieces(name))) or bool(_relevant_words(name))


@functools.lru_cache(maxsize=4096)
def _is_relevant_alone(piece: str) -> bool:
    if pitch_token(piece) is not None:
        return False
    is_long = len(piece) > LONGEST_ABBREVIATION  # shorter ones depend on the words beside them
    return _is_category_word(piece) or (is_long and bool(instrument_places([piece.lower()])))


def _is_category_word(piece: str) -> bool:
    stem = _stem(piece)
    return stem in CATEGORY_WORDS or stem.endswith("loop")


def _stem(piece: str) -> str:
    return piece.lower().removesuffix("s")
