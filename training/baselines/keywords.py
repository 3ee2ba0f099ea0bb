"""A list of keywords as a baseline: what a person would write down in an hour.

A model that does not beat it by vendor has learned nothing that a list does not say. The list is
`keywords.toml`; it learns from no table, and it reads names alone. Whoever wrote it had seen names
of the public tables, so no vendor there is quite unseen by it: what it gets is rather too good.

The list keeps a plain cut of its own, so that it stays the same baseline when the
model's changes.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.categories import CATEGORIES, N_CATEGORIES, category_index
from classifier.names.tokens import clean_name
from training.data.dataset import LabelledSounds
from training.errors import NamingError

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

_LOOP_WORD: Final = "loop"

#: A list is no surer of one answer than of another: its first has the same confidence for all.
_OF_RANK: Final = 0.5 ** np.arange(1, N_CATEGORIES + 1)

_TEXTS: Final = frozenset({"category", "loop", "words", "parts"})
_SWITCHES: Final = frozenset({"tempo", "notes"})


@dataclass(frozen=True)
class Rule:
    """One line of the list; see the head of ``keywords.toml``.

    Attributes
    ----------
    loop : str
        The category of a loop; the same where a loop makes no difference.
    words, parts : frozenset of str
        Lower case.
    notes : bool
        A note in the name will do, too.
    tempo : bool
        Only where a tempo stands.
    """

    category: str
    loop: str
    words: frozenset[str]
    parts: frozenset[str]
    notes: bool
    tempo: bool

    def answer(self, name: str) -> str | None:
        """Return what this rule says of a cleaned name, if it holds."""
        lower = name.lower()
        has_tempo = _TEMPO.search(name) is not None
        if (self.tempo and not has_tempo) or not self._named(name, lower):
            return None
        return self.loop if has_tempo or _LOOP_WORD in lower else self.category

    def _named(self, name: str, lower: str) -> bool:
        if not (self.words or self.parts or self.notes):
            return True
        words = {word.lower() for word in _WORD.findall(name)}
        return (
            not self.words.isdisjoint(words)
            or any(part in lower for part in self.parts)
            or (self.notes and _NOTE.search(name) is not None)
        )


class KeywordList:
    """Rules in order, as a system that can be compared with others.

    Parameters
    ----------
    rules : tuple of Rule
        The last one always holds.
    """

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules

    def ranking(self, name: str) -> list[str]:
        """Return all categories, those that rules answer first, in the order of the rules."""
        cleaned = clean_name(name)
        answers = [rule.answer(cleaned) for rule in self._rules]
        return list(dict.fromkeys([*filter(None, answers), *CATEGORIES]))

    def probabilities(self, sounds: LabelledSounds) -> NDArray[np.float32]:
        """Return the ranking of each sound's categories as numbers, shape (n_sounds, 12).

        They say which answer comes first, second and so on; not how sure anyone may be.
        """
        found = np.zeros((len(sounds), N_CATEGORIES), dtype=np.float32)
        for row, name in zip(found, sounds.names, strict=True):
            row[[category_index(category) for category in self.ranking(name)]] = _OF_RANK
        return found


def load_keywords() -> KeywordList:
    """Return the list that ships with the package."""
    page = resources.files("training.baselines").joinpath("keywords.toml")
    return parse_keywords(page.read_text(encoding="utf-8"))


def parse_keywords(text: str) -> KeywordList:
    """Read a page of the form of ``keywords.toml``.

    Raises
    ------
    NamingError
        Not TOML, or a rule that cannot be one; the message gives its number.
    """
    try:
        page = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise NamingError(f"keywords.toml is not TOML: {fault}") from fault
    entries = page.get("rules")
    if not isinstance(entries, list) or not entries or page.keys() != {"rules"}:
        raise NamingError("keywords.toml: a list called rules is needed, and nothing beside it")
    rules = tuple(_rule(entry, f"rule {place}") for place, entry in enumerate(entries, 1))
    last = rules[-1]
    if last.words or last.parts or last.notes or last.tempo:
        raise NamingError("keywords.toml: the last rule must hold for any name")
    return KeywordList(rules)


def _rule(entry: Any, place: str) -> Rule:
    if not isinstance(entry, Mapping):
        raise NamingError(f"keywords.toml, {place}: not a rule: {entry!r}")
    for key, value in entry.items():
        if key not in _TEXTS | _SWITCHES:
            raise NamingError(f"keywords.toml, {place}: {key} is not known")
        if not isinstance(value, str if key in _TEXTS else bool):
            raise NamingError(f"keywords.toml, {place}: {key} cannot be {value!r}")
    category = entry.get("category", "")
    loop = entry.get("loop", category)
    for name in (category, loop):
        if name not in CATEGORIES:
            raise NamingError(f"keywords.toml, {place}: {name!r} is no category")
    words, parts = (frozenset(entry.get(key, "").lower().split()) for key in ("words", "parts"))
    return Rule(category, loop, words, parts, entry.get("notes", False), entry.get("tempo", False))
