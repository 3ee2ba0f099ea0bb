"""A list of keywords as a baseline: what a musician would write down in an hour.

A model that does not beat it by vendor has learned nothing that a list does not contain. The list,
`keywords.toml`, learns from no table and reads names alone. Its authors had seen names of the
public tables, so its figures there are rather too good. It splits names into words in its own plain
way, so that it stays the same baseline when the model's tokens change.
"""

import re
from importlib import resources
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    StrictBool,
)

from classifier.categories import CATEGORIES, N_CATEGORIES, category_index
from classifier.names.cleaning import clean_name
from training.data.dataset import LabelledSounds
from training.errors import NamingError
from training.prior.naming import Category, read_page

#: Capitals that do not begin a word; a word. Digits part words.
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_TEMPO_NUMBER: Final = r"(?:[6-9]\d|1\d\d|200)"
#: A number from 60 to 200 beside the word bpm, or one that stands alone.
_TEMPO: Final = re.compile(
    rf"(?<!\d){_TEMPO_NUMBER} ?bpm|bpm ?{_TEMPO_NUMBER}(?!\d)"
    rf"|(?<![^\W_]){_TEMPO_NUMBER}(?![^\W_])",
    re.IGNORECASE,
)
#: A pitch with its octave that stands alone: C4, As2, eb5.
_NOTE: Final = re.compile(r"(?<![^\W_])[a-g][#bs]?\d(?![^\W_])", re.IGNORECASE)

#: A list is no surer of one answer than of another: its first has the same confidence for all.
_OF_RANK: Final = 0.5 ** np.arange(1, N_CATEGORIES + 1)


def _split(text: object) -> list[str]:
    if not isinstance(text, str):
        raise ValueError("no text")
    return text.lower().split()


#: Words parted by spaces; lower case.
_Words = Annotated[frozenset[str], BeforeValidator(_split)]


class Rule(BaseModel, extra="forbid", frozen=True):
    """One line of the list; the head of ``keywords.toml`` explains the fields."""

    category: Category
    loop: Category = ""
    words: _Words = frozenset()
    parts: _Words = frozenset()
    notes: StrictBool = False
    tempo: StrictBool = False

    def answer(self, name: str) -> str | None:
        """Return the category of a cleaned name, None if this rule does not hold."""
        lower = name.lower()
        has_tempo = _TEMPO.search(name) is not None
        if (self.tempo and not has_tempo) or not self._named(name, lower):
            return None
        return (self.loop if has_tempo or "loop" in lower else "") or self.category

    def _named(self, name: str, lower: str) -> bool:
        if not (self.words or self.parts or self.notes):
            return True
        words = {word.lower() for word in _WORD.findall(name)}
        return (
            not self.words.isdisjoint(words)
            or any(part in lower for part in self.parts)
            or (self.notes and _NOTE.search(name) is not None)
        )


class _KeywordsPage(BaseModel, extra="forbid"):
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]


class KeywordList:
    """Rules in order, as a system that can be compared with others; the last one always holds."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules

    def ranking(self, name: str) -> list[str]:
        """Return all categories, those that rules answer first, in the order of the rules."""
        cleaned = clean_name(name)
        answers = [rule.answer(cleaned) for rule in self._rules]
        return list(dict.fromkeys([*filter(None, answers), *CATEGORIES]))

    def probabilities(self, sounds: LabelledSounds) -> NDArray[np.float32]:
        """Return the ranking of each sound's categories as numbers, shape (n_sounds, 12).

        They give the order of the categories and no confidence.
        """
        probabilities = np.zeros((len(sounds), N_CATEGORIES), dtype=np.float32)
        for row, name in zip(probabilities, sounds.names, strict=True):
            row[[category_index(category) for category in self.ranking(name)]] = _OF_RANK
        return probabilities


def load_keywords() -> KeywordList:
    """Return the list that ships with the package."""
    page = resources.files("training.baselines").joinpath("keywords.toml")
    return parse_keywords(page.read_text(encoding="utf-8"))


def parse_keywords(text: str) -> KeywordList:
    """Read a page of the form of ``keywords.toml``.

    Raises `NamingError` for what is not TOML or no list of rules; the message names the place.
    """
    page = read_page(_KeywordsPage, text, "keywords.toml")
    last = page.rules[-1]
    if last.words or last.parts or last.notes or last.tempo:
        raise NamingError("keywords.toml: the last rule must hold for any name")
    return KeywordList(page.rules)
