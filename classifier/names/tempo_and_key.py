"""The tempo and the key that a name states, as values.

What counts as a number or a pitch is decided by `classifier.names.tokens`, for these are its typed
tokens; here stands what they say, and when they say it for certain. A wrong tempo is worse than
none: what can be read in two ways is not stated.
"""

import functools
import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from classifier.headers.loop_metadata import HIGHEST_TEMPO_BPM as HIGHEST_SAID_BPM
from classifier.headers.loop_metadata import LOWEST_TEMPO_BPM as LOWEST_SAID_BPM
from classifier.names.instruments import Pitch
from classifier.names.tokens import (
    HIGHEST_TEMPO_BPM,
    LOWEST_TEMPO_BPM,
    MACHINE_NUMBERS,
    clean_name,
    is_root_before_mode,
    name_pieces,
    pitch_token,
)

_NUMBER: Final = r"(\d{2,3}(?:[.,]\d{1,3})?)"
_BETWEEN: Final = r"[\W_]{0,3}"
#: The surest first: of `loop_90_bpm120` the 120 is meant.
_BESIDE_BPM: Final = tuple(
    re.compile(pattern, re.IGNORECASE | re.ASCII)
    for pattern in (
        rf"(?<![\d.,]){_NUMBER}bpm(?![a-z])",
        rf"(?<![a-z])bpm{_NUMBER}(?!\d)",
        rf"(?<![\d.,]){_NUMBER}{_BETWEEN}bpm(?![a-z])",
        rf"(?<![a-z])bpm{_BETWEEN}{_NUMBER}(?!\d)",
    )
)

_MODES: Final = {"min": "minor", "minor": "minor", "maj": "major", "major": "major"}
#: Between root and mode: *F harmonic minor*.
_KINDS_OF_MODE: Final = frozenset({"harmonic", "melodic", "natural"})
_FLATS: Final = ("b", "flat")


def said_tempo_bpm(name: str) -> float | None:
    """Return the tempo that stands beside the word *bpm*.

    Parameters
    ----------
    name : str
        A base name, or a folder's.

    Returns
    -------
    float or None
        From 20 to 400; None when there is none, or two equally plain ones differ.
    """
    text = clean_name(name)
    if "bpm" not in text.lower():
        return None  # as with most: cheaper than four patterns that would find as much
    for pattern in _BESIDE_BPM:
        values = {float(number.replace(",", ".")) for number in pattern.findall(text)}
        values = {value for value in values if LOWEST_SAID_BPM <= value <= HIGHEST_SAID_BPM}
        if values:
            return values.pop() if len(values) == 1 else None
    return None


def possible_tempos_bpm(name: str) -> tuple[int, ...]:
    """Return the bare numbers of a name that may be its tempo, in order, each once.

    Those from 60 to 200 without leading zero that are no drum machine's. A sound's length tells
    which of them is one.
    """
    return tuple(dict.fromkeys(filter(None, map(_possible_tempo_bpm, name_pieces(name)))))


@functools.lru_cache(maxsize=8192)  # the pieces of a pack's names are few
def _possible_tempo_bpm(piece: str) -> int | None:
    is_bare = piece.isdecimal() and piece.isascii() and len(piece) <= 3 and piece[0] != "0"
    if not is_bare or piece in MACHINE_NUMBERS:
        return None
    value = int(piece)
    return value if LOWEST_TEMPO_BPM <= value <= HIGHEST_TEMPO_BPM else None


class _Certainty(IntEnum):
    """How plainly a pitch is said; the plainest counts."""

    MODE = 0
    ACCIDENTAL = 1
    OCTAVE = 2
    LETTER = 3


class _Said(NamedTuple):
    """A pitch of a name.

    Attributes
    ----------
    text : str
        As it is shown: ``F# minor``, ``Eb``, ``C4``.
    is_capital : bool
        Small letters with a digit are often something else: take *b3*.
    """

    text: str
    root: str
    certainty: _Certainty
    is_capital: bool = True


def stated_key(name: str, *, pitch: Pitch, letters: bool = False) -> str | None:
    """Return the key, root or note that a name states.

    Parameters
    ----------
    name : str
        A base name, or a folder's.
    pitch : Pitch
        What can be said of the instrument; `Pitch.NOTE` where it is not known.
    letters : bool
        Whether a capital letter alone may be a root: where a tempo is stated, and then beside a
        number or at an end.

    Returns
    -------
    str or None
        A root with its mode (``F# minor``), without (``Eb``), or with its octave (``C4``). None
        when the plainest statements differ.
    """
    pieces = name_pieces(name)
    if not any(map(_may_be_a_pitch, pieces)):
        return None  # as in most
    said = [
        one
        for place, piece in enumerate(pieces)
        if _may_be_a_pitch(piece) and (one := _pitch_at(pieces, place)) is not None
    ]
    allowed = [one for one in said if _counts(one, pitch, letters)]
    if not allowed:
        return None
    if len(said) == 1:
        return said[0].text
    certainty = min(one.certainty for one in allowed)
    texts = {one.text for one in allowed if one.certainty == certainty}
    # Of `B4-G` either may be the file's number in its series.
    roots = {one.root for one in said} if certainty >= _Certainty.OCTAVE else set()
    return texts.pop() if len(texts) == 1 and len(roots) <= 1 else None


def _counts(said: _Said, pitch: Pitch, letters: bool) -> bool:
    if said.certainty is _Certainty.MODE:
        return True
    if pitch is Pitch.NONE or (said.certainty is _Certainty.LETTER and not letters):
        return False
    return pitch is Pitch.KEY or said.is_capital


@functools.lru_cache(maxsize=8192)  # most pieces are no pitch, whatever stands beside them
def _may_be_a_pitch(piece: str) -> bool:
    return pitch_token(piece) is not None or is_root_before_mode(piece)


def _pitch_at(pieces: Sequence[str], place: int) -> _Said | None:
    piece = pieces[place]
    after = [word.lower() for word in pieces[place + 1 : place + 3]]
    mode = next((_MODES.get(word) for word in after if word not in _KINDS_OF_MODE), None)
    if mode and is_root_before_mode(piece):
        return _said(piece, mode)
    kind = pitch_token(piece)
    before = pieces[place - 1] if place else ""
    if kind is None or "I" in (before, *pieces[place + 1 : place + 2]):
        return None  # "I am", "am I"
    if kind in ("<minor>", "<major>"):
        # AM and FM are synthesis and radio, and in capitals throughout AM may be A minor.
        if piece.endswith("M") and (len(piece) == 2 or not _has_small_letters(pieces)):
            return None
        return _said(piece, kind.strip("<>"))
    if kind == "<note>":
        root = _said(piece[:-1]).root
        return _Said(root + piece[-1], root, _Certainty.OCTAVE, is_capital=piece[0].isupper())
    if len(piece) > 1:
        return _said(piece)
    return _Said(piece, piece, _Certainty.LETTER) if _stands_like_a_root(pieces, place) else None


def _has_small_letters(pieces: Sequence[str]) -> bool:
    return any(piece.upper() != piece for piece in pieces if pitch_token(piece) is None)


def _stands_like_a_root(pieces: Sequence[str], place: int) -> bool:
    """Whether a letter stands where names have a root, not within words: *this is A test*."""
    beside = [*pieces[max(0, place - 1) : place], *pieces[place + 1 : place + 2]]
    at_an_end = place in (0, len(pieces) - 1)
    return at_an_end or any(word.isdecimal() or word.lower() == "bpm" for word in beside)


def _said(piece: str, mode: str | None = None) -> _Said:
    """Read root and accidental of a pitch: `F#min`, `Fsharp`, `#F`, `As`, `eb`."""
    letters = piece.lstrip("#")
    rest = letters[1:].lower()
    accidental = ""
    if "#" in piece or rest.startswith("sharp") or rest == "s":
        accidental = "#"
    elif rest.startswith(_FLATS):
        accidental = "b"
    root = letters[0].upper() + accidental
    if mode:
        return _Said(f"{root} {mode}", root, _Certainty.MODE)
    return _Said(root, root, _Certainty.ACCIDENTAL)
