r"""Tokenising a sound's file name: lower-case words and typed tokens.

The name is cleaned first (`classifier.names.cleaning`). Numbers, keys and notes become typed
tokens, because a model learns nothing from thousands of rare numbers and much from "here is a
tempo":

=============  =====================================================================
``<bpm>``      a number beside the word *bpm*: ``128bpm``, ``Bpm128``, ``128 BPM``
``<tempo>``    a bare number from 60 to 200 without leading zero, probably a tempo
``<index>``    a number below 60, with leading zeros, or a variant: ``7``, ``007``, ``4A``
``<number>``   any other number
``<minor>``    ``Fmin``, ``F#m``, ``C minor``
``<major>``    ``A#maj``, ``Gmajor``, ``Fsharp major``
``<note>``     a pitch with its octave: ``C4``, ``As2``, ``eb5``
``<root>``     a pitch alone, written as a capital: ``F#``, ``Eb``, ``A``
``<empty>``    the name holds neither letter nor digit
=============  =====================================================================
"""

import functools
import re
from collections.abc import Set
from typing import Final, NamedTuple

from classifier.names.cleaning import MACHINE_NUMBERS, clean_name

#: The tempo range of sample packs; below it a bare number is more often an index.
LOWEST_TEMPO_BPM: Final = 60
HIGHEST_TEMPO_BPM: Final = 200

_CHUNK = re.compile(r"(?:[^\W_]|#)+")
#: The same for ASCII text, which nearly all names are; takes a third of the time.
_ASCII_CHUNK = re.compile(r"[A-Za-z0-9#]+")
#: A variant's number, or a key in the notation of DJ programs: ``4A``.
_VARIANT = r"(?<!\d)(?:0?[1-9]|1[0-2])[AB](?![A-Za-z\d#])"
# Variants; runs of digits; capitals that do not begin a word; a word; letters of other scripts.
_PIECE = re.compile(rf"{_VARIANT}|\d+|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
_ACCIDENTAL = r"(?:#|b|sharp|flat)"
_KEY = re.compile(rf"#?[A-G]{_ACCIDENTAL}?(?:(m|min|minor)|(M|maj|major))", re.ASCII)
_KEY_LOWER = re.compile(rf"#?[a-g]{_ACCIDENTAL}?(?:(min|minor)|(maj|major))", re.ASCII)
# A second letter "s" is a sharp in libraries where "#" is not allowed: As2.
_NOTE = re.compile(r"[A-Ga-g](?:#|b|s)?[0-9]", re.ASCII)
_ROOT = re.compile(rf"#?[A-G]{_ACCIDENTAL}?|[A-G]#", re.ASCII)
_ROOT_BEFORE_MODE = re.compile(rf"#?[A-Ga-g]{_ACCIDENTAL}?", re.ASCII)
_MODES: Final = {"min": "<minor>", "minor": "<minor>", "maj": "<major>", "major": "<major>"}


def tokenise(file_name: str, counting: Set[int] = frozenset()) -> list[str]:
    """Split a file name into lower-case words and typed tokens, in the order of the name.

    Total and deterministic over every `str` (control characters, lone surrogates, any length), in
    time linear in the name's length; ``["<empty>"]`` when nothing is left.

    - `counting`: positions in `clean_name` of numbers that count the files of a folder (from
      `pack_mates.PackMates.counting`). These numbers are not tempos.

    >>> tokenise("XY_BassLoop02_128bpm_F#min.wav")
    ['xy', 'bass', 'loop', '<index>', '<bpm>', '<minor>']
    """
    return [token for token, _, _ in placed_tokens(file_name, counting)] or ["<empty>"]


def placed_tokens(file_name: str, counting: Set[int] = frozenset()) -> list[tuple[str, int, int]]:
    """Tokenise as `tokenise` does, with the start and end of each token in `clean_name`.

    Empty when the name holds neither letter nor digit.

    >>> placed_tokens("Kick_C minor.wav")
    [('kick', 0, 4), ('<minor>', 5, 12)]
    """
    text = clean_name(file_name)
    pieces = [
        (piece, chunk.start())
        for chunk in _chunk_of(text).finditer(text)
        for piece in _pieces_of(chunk[0])
    ]
    tokens: list[tuple[str, int, int]] = []
    position = 0
    while position < len(pieces):
        piece, offset = pieces[position]
        start, end = offset + piece.start, offset + piece.end
        typed = ""
        if piece.may_join and position + 1 < len(pieces):
            typed = _with_follower(piece, pieces[position + 1][0])
        if typed:
            position += 1
            follower, offset = pieces[position]
            end = offset + follower.end
        elif piece.is_number and start in counting:
            typed = "<index>"
        tokens.append((typed or piece.token, start, end))
        position += 1
    return tokens


def _chunk_of(text: str) -> re.Pattern[str]:
    return _ASCII_CHUNK if text.isascii() else _CHUNK


class _Piece(NamedTuple):
    """A word, number or pitch of a chunk of a name."""

    word: str  #: in lower case
    token: str  #: if it is not joined with the next piece
    start: int  #: in its chunk
    end: int
    is_number: bool
    may_join: bool  #: whether it can form one token with the next piece


@functools.lru_cache(maxsize=8192)  # a pack repeats its few chunks in each of its names
def _pieces_of(chunk: str) -> tuple[_Piece, ...]:
    """Split a chunk at its word borders; a chunk that is a pitch stays whole."""
    if pitch_token(chunk) is not None:
        return (_piece(chunk, 0),)
    return tuple(_piece(match[0], match.start()) for match in _PIECE.finditer(chunk))


def _piece(text: str, start: int) -> _Piece:
    word = text.lower()
    is_number = word.isdecimal()
    if word[0].isdecimal():
        token = _number(word) if is_number else "<index>"
    else:
        token = pitch_token(text) or word
    may_join = is_number or word == "bpm" or is_root_before_mode(text)
    return _Piece(word, token, start, start + len(text), is_number, may_join)


def _with_follower(piece: _Piece, follower: _Piece) -> str:
    """Return the token that two adjacent pieces form; empty if they form none."""
    if piece.is_number:
        return "<bpm>" if follower.word == "bpm" else ""
    if piece.word == "bpm":
        return "<bpm>" if follower.is_number else ""
    return _MODES.get(follower.word, "")


def _number(digits: str) -> str:
    if digits in MACHINE_NUMBERS:
        return digits
    # No sound's number has more digits than this; int() of a longer one would cost quadratic time.
    value = int(digits) if len(digits) <= 9 else 10**9
    if digits[0] == "0" or value < LOWEST_TEMPO_BPM:
        return "<index>"
    return "<tempo>" if value <= HIGHEST_TEMPO_BPM else "<number>"


@functools.lru_cache(maxsize=4096)  # the words of a batch are few
def pitch_token(piece: str) -> str | None:
    """Return the typed token of a key, note or root; None for any other piece of a name."""
    key = _KEY.fullmatch(piece) or _KEY_LOWER.fullmatch(piece)
    if key:
        return "<minor>" if key[1] else "<major>"
    if _NOTE.fullmatch(piece):
        return "<note>"
    return "<root>" if _ROOT.fullmatch(piece) else None


@functools.lru_cache(maxsize=2048)  # each attribute of a name and its folders needs them
def name_pieces(file_name: str) -> tuple[str, ...]:
    """Split a name into the pieces that `tokenise` turns into tokens, in their own case.

    >>> name_pieces("XY_BassLoop02_128bpm_F#min.wav")
    ('XY', 'Bass', 'Loop', '02', '128', 'bpm', 'F#min')
    """
    pieces: list[str] = []
    text = clean_name(file_name)
    for chunk in _chunk_of(text).findall(text):
        pieces += _texts_of(chunk)
    return tuple(pieces)


@functools.lru_cache(maxsize=8192)
def _texts_of(chunk: str) -> tuple[str, ...]:
    # Keep `f#` in `f# minor` whole: the value of the key needs the sharp, its token does not.
    if pitch_token(chunk) is not None or is_root_before_mode(chunk):
        return (chunk,)
    return tuple(_PIECE.findall(chunk))


def is_root_before_mode(piece: str) -> bool:
    """Whether a piece is a pitch if *minor* or *major* follows; a lower-case ``f`` is one."""
    return _ROOT_BEFORE_MODE.fullmatch(piece) is not None
