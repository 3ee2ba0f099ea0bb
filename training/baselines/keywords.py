"""Baseline: a hand-written list of keywords, `keywords.toml`.

A model that does not beat it on unseen vendors has learned nothing that the list does not contain.
The list is not fitted to any table and reads only names. Its authors had seen names of the public
tables, so its results there are slightly too good. It does not use the model's tokeniser, so the
baseline stays the same when that changes.
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
from training.prior.naming import Category, read_toml

#: A run of capitals, or a word with or without an initial capital. Digits separate words.
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_TEMPO_NUMBER: Final = r"(?:[6-9]\d|1\d\d|200)"
#: A number from 60 to 200, next to "bpm" or separate from other letters and digits.
_TEMPO: Final = re.compile(
    rf"(?<!\d){_TEMPO_NUMBER} ?bpm|bpm ?{_TEMPO_NUMBER}(?!\d)"
    rf"|(?<![^\W_]){_TEMPO_NUMBER}(?![^\W_])",
    re.IGNORECASE,
)
#: A pitch with its octave, separate from other letters and digits: C4, As2, eb5.
_NOTE: Final = re.compile(r"(?<![^\W_])[a-g][#bs]?\d(?![^\W_])", re.IGNORECASE)

#: Probabilities by rank. A list has no confidence, so the first category always has the same one.
_OF_RANK: Final = 0.5 ** np.arange(1, N_CATEGORIES + 1)


def _split(text: object) -> list[str]:
    if not isinstance(text, str):
        raise ValueError("no text")
    return text.lower().split()


#: A text of words separated by spaces, as a set of lower-case words.
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
        """Return the category for a cleaned name; None if this rule does not match."""
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


class _KeywordsFile(BaseModel, extra="forbid"):
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]


class KeywordList:
    """A `FittedSystem` that applies rules in order; the last rule matches every name."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules

    def ranking(self, name: str) -> list[str]:
        """Return all categories: first those of matching rules in their order, then the rest."""
        cleaned = clean_name(name)
        answers = [rule.answer(cleaned) for rule in self._rules]
        return list(dict.fromkeys([*filter(None, answers), *CATEGORIES]))

    def probabilities(self, sounds: LabelledSounds) -> NDArray[np.float32]:
        """Return each sound's ranking of categories as probabilities, shape (n_sounds, 12).

        They express only the order of the categories, not a confidence.
        """
        probabilities = np.zeros((len(sounds), N_CATEGORIES), dtype=np.float32)
        for row, name in zip(probabilities, sounds.names, strict=True):
            row[[category_index(category) for category in self.ranking(name)]] = _OF_RANK
        return probabilities


def load_keywords() -> KeywordList:
    """Return the keyword list that ships with the package."""
    page = resources.files("training.baselines").joinpath("keywords.toml")
    return parse_keywords(page.read_text(encoding="utf-8"))


def parse_keywords(text: str) -> KeywordList:
    """Parse the text of a ``keywords.toml``.

    Raises `NamingError` if it is not TOML or not a list of rules; the message names the entry.
    """
    page = read_toml(_KeywordsFile, text, "keywords.toml")
    last = page.rules[-1]
    if last.words or last.parts or last.notes or last.tempo:
        raise NamingError("keywords.toml: the last rule must match every name")
    return KeywordList(page.rules)
