"""What folders say of a sound whose own name says nothing: `Kicks/01.wav` is a kick.

Only words that tell are taken, and only where the name holds none of its own: `Kicks/riser_01.wav`
stays what it is called. Numbers and pitches of a folder are never taken, for `128 BPM` in front of
`01.wav` would read as a tempo of 1.

Models are neither trained nor measured on such names: it is how work is asked of them
(`workers.predictions`), and no part of any published figure.
"""

import functools
from collections.abc import Sequence
from typing import Final

from classifier.names.instruments import LONGEST_ABBREVIATION, called_places
from classifier.names.tokens import name_pieces, pitch_token

#: The nearest ones; those above them are of packs and shops.
FOLDERS_ASKED: Final = 2

#: What tells of a category and calls no instrument; a plural's s and "loop" at a word's end are
#: understood. A *hit*, a *shot*, a *take* says nothing that its folder could not say better.
TELLING_WORDS: Final = frozenset(
    {
        *("loop", "beat", "break", "groove", "fill", "melody", "melodic"),
        *("fx", "sfx", "effect", "transition", "stem", "midi", "kit", "template", "construction"),
    }
)
#: Of the folder above one that speaks they say what is in it, not what the sound is:
#: `Drum Kits/Kicks/01.wav`.
_HOLDERS: Final = frozenset({"kit", "template", "construction"})


def spoken_with(words: str, name: str) -> str:
    """Return the name under which a sound is classified.

    Parameters
    ----------
    words : str
        The `folder_words` of its folders.
    name : str
        A base name.

    Returns
    -------
    str
        The name itself when it says something, or no folder does; else with the words in front.

    Examples
    --------
    >>> spoken_with(folder_words(["Drums", "Kicks"]), "01.wav")
    'Drums Kicks 01.wav'
    >>> spoken_with(folder_words(["Drums", "Kicks"]), "riser_01.wav")
    'riser_01.wav'
    """
    return f"{words} {name}" if words and not _says_something(name) else name


def folder_words(folders: Sequence[str]) -> str:
    """Return the telling words of the last two folders in one line; empty when there are none.

    Parameters
    ----------
    folders : sequence of str
        Those above a sound below its library root, the outermost first.
    """
    spoken: list[str] = []
    for folder in reversed(folders[-FOLDERS_ASKED:]):
        words = _telling(folder)
        if spoken:
            words = [word for word in words if _stem(word) not in _HOLDERS]
        spoken = words + spoken
    return " ".join(spoken)


def _telling(text: str) -> list[str]:
    pieces = [piece for piece in name_pieces(text) if not piece.isdecimal()]
    called = called_places([piece.lower() for piece in pieces])
    return [
        piece
        for place, piece in enumerate(pieces)
        if (place in called or _tells(piece)) and pitch_token(piece) is None
    ]


def _says_something(name: str) -> bool:
    # Asked of each name: nearly all have a word that needs no look at its neighbours.
    return any(map(_tells_alone, name_pieces(name))) or bool(_telling(name))


@functools.lru_cache(maxsize=4096)
def _tells_alone(piece: str) -> bool:
    if pitch_token(piece) is not None:
        return False
    is_long = len(piece) > LONGEST_ABBREVIATION  # shorter ones may need their neighbours
    return _tells(piece) or (is_long and bool(called_places([piece.lower()])))


def _tells(piece: str) -> bool:
    stem = _stem(piece)
    return stem in TELLING_WORDS or stem.endswith("loop")


def _stem(piece: str) -> str:
    return piece.lower().removesuffix("s")
