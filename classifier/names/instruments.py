"""Find the instrument that a name states, with the word list ``instruments.toml``."""

import functools
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Final

_MOST_PARTS: Final = 3
#: Abbreviations count only in names without a longer word.
LONGEST_ABBREVIATION: Final = 3

_DRUM_KIT: Final = frozenset({"kick", "snare", "hihat", "clap", "tom", "cymbal", "percussion"})
_SEVERAL_DRUMS: Final = "drums"
#: Beside another instrument *piano* is a dynamic marking (quiet).
_DYNAMIC: Final = "piano"
#: Rank of forms (chord, riser). The last form is the noun: an *impact riser* is a riser.
_RANK_OF_FORMS: Final = 3


class Pitch(StrEnum):
    """Which kind of pitch an instrument has; see ``instruments.toml``."""

    KEY = "key"
    NOTE = "note"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One entry of the vocabulary; if a name has several instruments, the lowest `rank` wins."""

    name: str
    rank: int
    pitch: Pitch
    words: tuple[str, ...]
    short: tuple[str, ...]


@functools.cache
def vocabulary() -> dict[str, Instrument]:
    """Return all instruments by name, in the file's order."""
    text = files("classifier.names").joinpath("instruments.toml").read_text(encoding="utf-8")
    return {
        name: Instrument(
            name, entry["rank"], Pitch(entry["pitch"]), tuple(entry["words"]), tuple(entry["short"])
        )
        for name, entry in tomllib.loads(text).items()
    }


@functools.cache
def _by_word() -> tuple[dict[str, Instrument], dict[str, Instrument]]:
    entries = vocabulary().values()
    return (
        {word: entry for entry in entries for word in entry.words},
        {word: entry for entry in entries for word in entry.short},
    )


@functools.cache
def _first_words() -> frozenset[str]:
    """Return the first words of phrases that have several words."""
    return frozenset(word.partition(" ")[0] for word in _by_word()[0] if " " in word)


@functools.lru_cache(maxsize=8192)  # the words of a pack are few
def _entry_of(phrase: str) -> Instrument | None:
    by_word = _by_word()[0]
    return by_word.get(phrase) or by_word.get(_plain(phrase))


@functools.lru_cache(maxsize=8192)
def _may_name(word: str) -> bool:
    """Whether a word names an instrument, or begins a phrase that may."""
    return word in _first_words() or _entry_of(word) is not None


def instrument_of(words: Sequence[str]) -> Instrument | None:
    """Return the instrument that lower-case words name.

    None if they name none, or conflicting ones of the same rank. Phrases do not span numbers.
    """
    entries = [entry for entry, _ in _instruments(words)]
    if len(entries) < 2:
        return entries[0] if entries else None
    rank = min(entry.rank for entry in entries)
    best = [entry for entry in entries if entry.rank == rank]
    names = {entry.name for entry in best}
    if len(names) > 1 and _DYNAMIC in names:
        best = [entry for entry in best if entry.name != _DYNAMIC]
        names.remove(_DYNAMIC)
    if len(names) == 1 or rank == _RANK_OF_FORMS:
        return best[-1]
    return vocabulary()[_SEVERAL_DRUMS] if names <= _DRUM_KIT else None


def instrument_places(words: Sequence[str]) -> frozenset[int]:
    """Return the indices of lower-case words that name instruments, even if these conflict.

    >>> sorted(instrument_places(["deep", "sub", "bass", "kicks"]))
    [1, 2, 3]
    """
    return frozenset(place for _, places in _instruments(words) for place in places)


def _instruments(words: Sequence[str]) -> list[tuple[Instrument, range]]:
    """Return instruments and the indices of their words; abbreviations if no word is longer."""
    # A cheap first check: most words name no instrument.
    entries = list(_named_in_full(words)) if any(map(_may_name, words)) else []
    if not entries and all(len(word) <= LONGEST_ABBREVIATION or word.isdecimal() for word in words):
        by_short = _by_word()[1]
        entries = [
            (by_short[word], range(place, place + 1))
            for place, word in enumerate(words)
            if word in by_short
        ]
    return entries


def _named_in_full(words: Sequence[str]) -> Iterator[tuple[Instrument, range]]:
    """Yield the instrument of the longest phrase at each index."""
    first_words = _first_words()
    place = 0
    while place < len(words):
        word = words[place]
        most = min(_MOST_PARTS, len(words) - place) if word in first_words else 1
        for n_parts in range(most, 1, -1):
            entry = _entry_of(" ".join(words[place : place + n_parts]))
            if entry is not None:
                yield entry, range(place, place + n_parts)
                place += n_parts
                break
        else:
            if (entry := _entry_of(word)) is not None:
                yield entry, range(place, place + 1)
            place += 1


def _plain(phrase: str) -> str:
    """Return a phrase without a final "s" and "loop": *kicks*, *bassloops*."""
    stem = phrase.removesuffix("s")
    return stem.removesuffix("loop") if len(stem) > len("loop") else stem
