"""Extract the tempo and the key that a name states.

`classifier.names.tokens` decides what is a number or a pitch. A wrong value is worse than none, so
ambiguous names yield None.
"""

import functools
import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from classifier.headers.loop_metadata import HIGHEST_TEMPO_BPM as HIGHEST_STATED_BPM
from classifier.headers.loop_metadata import LOWEST_TEMPO_BPM as LOWEST_STATED_BPM
from classifier.names.cleaning import MACHINE_NUMBERS, clean_name
from classifier.names.instruments import Pitch
from classifier.names.tokens import (
    HIGHEST_TEMPO_BPM,
    LOWEST_TEMPO_BPM,
    is_root_before_mode,
    name_pieces,
    pitch_token,
)

_NUMBER: Final = r"(\d{2,3}(?:[.,]\d{1,3})?)"
_BETWEEN: Final = r"[\W_]{0,3}"
#: In order of certainty: `loop_90_bpm120` states 120.
_BESIDE_BPM: Final = tuple(
    re.compile(pattern, re.IGNORECASE | re.ASCII)
    for pattern in (
        rf"(?<![\d.,]){_NUMBER}bpm(?![a-z])",
        rf"(?<![a-z])bpm{_NUMBER}(?!\d)",
        rf"(?<![\d.,]){_NUMBER}{_BETWEEN}bpm(?![a-z])",
        rf"(?<![a-z])bpm{_BETWEEN}{_NUMBER}(?!\d)",
    )
)
#: Ranges of tempos: `128-130 bpm`, `bpm 90 to 120`.
_RANGE: Final = re.compile(
    r"(?<!\d)[1-9]\d{1,2}(?: ?[-\u2013\u2014~] ?| to )[1-9]\d{1,2}[ _]?bpm(?![a-z])"
    r"|(?<![a-z])bpm[ _]?[1-9]\d{1,2}(?: ?[-\u2013\u2014~] ?| to )[1-9]\d{1,2}(?!\d)",
    re.IGNORECASE | re.ASCII,
)
#: An index after a number sign. Searched in the uncleaned name, because cleaning removes the numero
#: sign. `F#120` is a pitch and a tempo.
_NUMBERED: Final = re.compile(r"(?:\u2116|(?<![A-Ga-g])#)\s?(\d{2,3})(?!\d)", re.ASCII)
#: A name that is only a number of things: `150 drums`.
_THINGS: Final = re.compile(r"\d{2,3} [A-Za-z]+[A-RT-Za-rt-z]s", re.ASCII)
#: Temperatures: `Temp 90F`.
_DEGREES: Final = re.compile(r"(?<![A-Za-z\d])(\d{2,3})[CF](?![A-Za-z\d#])", re.ASCII)

#: A key in the notation of DJ programs (Camelot wheel).
_CAMELOT_KEY: Final = re.compile("(0?[1-9]|1[0-2])([AB])")
#: Roots of the keys 1A to 12A and 1B to 12B.
_CAMELOT_ROOTS: Final = {
    "A": ("Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "Db"),
    "B": ("B", "F#", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E"),
}
_CAMELOT_MODES: Final = {"A": "minor", "B": "major"}

#: A number or letter after one of these words is an index.
_COUNTED: Final = frozenset(
    {"audio", "bank", "chapter", "clip", "file", "layer", "nr", "number", "page", "part", "patch"}
    | {"preset", "rec", "recording", "sample", "scene", "slice", "take", "track", "untitled"}
    | {"v", "vel", "velocity", "version", "vol", "volume"}
)
_NO_TEMPO_AFTER: Final = _COUNTED | {
    *("no", "note", "of", "p", "pitch", "rr", "temp", "temperature"),
}
#: A number before one of these words is a count or a measure; one beside *bpm* is not bare.
_UNITS: Final = frozenset(
    {"bpm", "cycles", "days", "grams", "hertz", "hrs", "kg", "km", "kmh", "kph", "lbs", "meter"}
    | {"miles", "min", "mins", "minute", "mph", "of", "pcs", "pieces", "tracks", "years"}
)
#: A letter after one of these words is an index.
_LETTERED: Final = _COUNTED | {
    *("act", "alt", "camera", "channel", "class", "deck", "grade", "group", "mic", "option"),
    *("plan", "pt", "section", "series", "side", "team", "type", "variation", "vitamin"),
}
#: Words after what looks like a pitch and is none: `A4 paper`, `F1 car`.
_NO_SOUNDERS: Final = frozenset({"car", "cars", "engine", "paper", "race", "racing", "sheet"})

_MODES: Final = {"min": "minor", "minor": "minor", "maj": "major", "major": "major"}
#: Words between root and mode: *F harmonic minor*.
_KINDS_OF_MODE: Final = frozenset({"harmonic", "melodic", "natural"})
_FLATS: Final = ("b", "flat")
_ACCIDENTALS: Final = ("sharp", "flat")


def stated_tempo_bpm(name: str) -> float | None:
    """Return the tempo beside the word *bpm* in the name of a file or folder, from 20 to 400.

    None if there is no such tempo, if equally certain tempos differ, or if it is a range.
    """
    text = clean_name(name)
    if "bpm" not in text.lower() or _RANGE.search(text):
        return None  # most names lack *bpm*, and this is cheaper than the patterns
    for pattern in _BESIDE_BPM:
        values = {float(number.replace(",", ".")) for number in pattern.findall(text)}
        values = {value for value in values if LOWEST_STATED_BPM <= value <= HIGHEST_STATED_BPM}
        if values:
            return values.pop() if len(values) == 1 else None
    return None


def possible_tempos_bpm(name: str) -> tuple[int, ...]:
    """Return the distinct bare numbers of a name that may be its tempo, in order.

    These are numbers from 60 to 200 without leading zero that name no drum machine and count
    nothing.
    """
    pieces = name_pieces(name)
    values = dict.fromkeys(
        value
        for before, piece, after in zip(("", *pieces), pieces, (*pieces[1:], ""), strict=False)
        if (value := _possible_tempo_bpm(piece))
        and before.lower() not in _NO_TEMPO_AFTER
        and after.lower() not in _UNITS
    )
    if not values:
        return ()  # as for most names
    text = clean_name(name)
    if _RANGE.search(text) or _THINGS.fullmatch(text):
        return ()
    for number in (*_NUMBERED.findall(name), *_DEGREES.findall(name)):
        values.pop(int(number), None)
    return tuple(values)


@functools.lru_cache(maxsize=8192)  # the pieces of a pack's names are few
def _possible_tempo_bpm(piece: str) -> int | None:
    is_bare = piece.isdecimal() and piece.isascii() and len(piece) <= 3 and piece[0] != "0"
    if not is_bare or piece in MACHINE_NUMBERS:
        return None
    value = int(piece)
    return value if LOWEST_TEMPO_BPM <= value <= HIGHEST_TEMPO_BPM else None


class _Certainty(IntEnum):
    """How certain it is that a pitch is meant; the lowest value wins."""

    MODE = 0
    ACCIDENTAL = 1
    OCTAVE = 2
    LETTER = 3


class _Statement(NamedTuple):
    """A pitch of a name; its text is ``F# minor``, ``Eb`` or ``C4``.

    `is_capital`: False for what is often no pitch: lower-case letters with a digit, as in take
    *b3*, and *4A*.
    """

    text: str
    root: str
    certainty: _Certainty
    is_capital: bool = True


def stated_key(name: str, *, pitch: Pitch, letters: bool = False) -> str | None:
    """Return the key, root or note that the name of a file or folder states.

    This is a root with its mode (``F# minor``), without mode (``Eb``), or with its octave (``C4``).
    None if the most certain statements differ.

    - `pitch`: that of the instrument; `Pitch.NOTE` if the instrument is not known.
    - `letters`: whether a single capital letter may be a root, and ``4A`` a key instead of a
      variant. True if the name states a tempo. The letter must also be next to a number or at an
      end.
    """
    pieces = name_pieces(name)
    if not any(map(_may_be_a_pitch, pieces)):
        return None  # as for most names
    pieces = tuple(_with_accidentals(pieces))
    statements = [
        statement
        for place, piece in enumerate(pieces)
        if _may_be_a_pitch(piece) and (statement := _pitch_at(pieces, place)) is not None
    ]
    allowed = [statement for statement in statements if _counts(statement, pitch, letters)]
    if not allowed:
        return None
    if len(statements) == 1:
        return statements[0].text
    certainty = min(statement.certainty for statement in allowed)
    texts = {statement.text for statement in allowed if statement.certainty == certainty}
    # In `B4-G` either pitch may be the file's index in its series.
    roots = {s.root for s in statements} if certainty >= _Certainty.OCTAVE else set()
    return texts.pop() if len(texts) == 1 and len(roots) <= 1 else None


def _counts(statement: _Statement, pitch: Pitch, letters: bool) -> bool:
    if statement.certainty is _Certainty.MODE:
        return True
    if pitch is Pitch.NONE or (statement.certainty is _Certainty.LETTER and not letters):
        return False
    return pitch is Pitch.KEY or statement.is_capital


@functools.lru_cache(maxsize=8192)  # most pieces are never a pitch
def _may_be_a_pitch(piece: str) -> bool:
    return (
        pitch_token(piece) is not None
        or is_root_before_mode(piece)
        or _CAMELOT_KEY.fullmatch(piece) is not None
    )


def _with_accidentals(pieces: Sequence[str]) -> list[str]:
    """Join *C sharp* into one piece. *A sharp knife* holds no pitch."""
    joined: list[str] = []
    for place, piece in enumerate(pieces):
        word = piece.lower()
        root = joined[-1] if joined and len(joined[-1]) == 1 else ""
        has_mode = "".join(pieces[place + 1 : place + 2]).lower() in _MODES
        is_root = pitch_token(root) is not None and (root != "A" or len(joined) > 1)
        if word in _ACCIDENTALS and (is_root or (has_mode and is_root_before_mode(root))):
            joined[-1] = root + word
        else:
            joined.append(piece)
    return joined


def _pitch_at(pieces: Sequence[str], place: int) -> _Statement | None:
    piece = pieces[place]
    if camelot := _CAMELOT_KEY.fullmatch(piece):
        number, letter = camelot.groups()
        root = _CAMELOT_ROOTS[letter][int(number) - 1]
        key = f"{root} {_CAMELOT_MODES[letter]}"
        return _Statement(key, root, _Certainty.LETTER, is_capital=False)
    after = [word.lower() for word in pieces[place + 1 : place + 3]]
    mode = next((_MODES.get(word) for word in after if word not in _KINDS_OF_MODE), None)
    if mode and is_root_before_mode(piece):
        return _parsed(piece, mode)
    kind = pitch_token(piece)
    before = pieces[place - 1] if place else ""
    if kind is None or "I" in (before, *pieces[place + 1 : place + 2]):
        return None  # "I am", "am I"
    if kind in ("<minor>", "<major>"):
        # AM and FM are synthesis and radio. In a name without small letters `F#M` may mean minor.
        if piece.endswith("M") and (len(piece) == 2 or not _has_small_letters(pieces)):
            return None
        return _parsed(piece, kind.strip("<>"))
    if kind == "<note>":
        if "".join(after[:1]) in _NO_SOUNDERS:
            return None
        root = _parsed(piece[:-1]).root
        return _Statement(root + piece[-1], root, _Certainty.OCTAVE, is_capital=piece[0].isupper())
    if len(piece) > 1:
        return _parsed(piece)
    if not _is_root_position(pieces, place):
        return None
    return _Statement(piece, piece, _Certainty.LETTER)


def _has_small_letters(pieces: Sequence[str]) -> bool:
    return any(piece.upper() != piece for piece in pieces if pitch_token(piece) is None)


def _is_root_position(pieces: Sequence[str], place: int) -> bool:
    """Whether a letter is where names have a root, not within a sentence: *this is A test*."""
    beside = [*pieces[max(0, place - 1) : place], *pieces[place + 1 : place + 2]]
    if any(len(word) == 1 and word.isalpha() for word in beside):
        return False  # "B P M"
    if place and pieces[place - 1].lower() in _LETTERED:
        return False
    at_an_end = place in (0, len(pieces) - 1)
    return at_an_end or any(word.isdecimal() or word.lower() == "bpm" for word in beside)


def _parsed(piece: str, mode: str | None = None) -> _Statement:
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
        return _Statement(f"{root} {mode}", root, _Certainty.MODE)
    return _Statement(root, root, _Certainty.ACCIDENTAL)
