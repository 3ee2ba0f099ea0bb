"""What is generally known of how makers of sounds name them: reading and checking `naming.toml`.

The page is meant to be extended by people who know sounds and not this program, so every mistake
in it is named with its place.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from classifier.categories import CATEGORIES
from classifier.names.tokens import tokenise
from training.errors import NamingError

#: Lists a field of the same name (without its plural "s") draws from.
_LISTS: Final = (
    "descriptors",
    "phrases",
    "machines",
    "dynamics",
    "articulations",
    "rounds",
    "lyrics",
)
_FORMATS: Final = ("separators", "tempos", "keys")

#: Fields of a pattern that a category or the generator fills.
_MADE_FIELDS: Final = frozenset(
    {"word", "short", "element", "code", "name", "index", "number", "bpm", "key", "root", "note"}
)
FIELDS: Final = _MADE_FIELDS | {name.removesuffix("s") for name in _LISTS}

_FIELD: Final = re.compile(r"\{(\w*)\}")
_CATEGORY_KEYS: Final = frozenset(
    {
        "patterns",
        "heads",
        "heads_of",
        "rare",
        "qualifiers",
        "short",
        "duration_seconds",
        "bars",
        "own",
    }
)


@dataclass(frozen=True)
class CategoryNaming:
    """How sounds of one category are called.

    Attributes
    ----------
    heads, qualifiers, short : tuple of str
        Words a name is made of, repeated ones more often; see the head of ``naming.toml``.
    patterns : tuple of (str, float)
        Patterns of a name, and the weight of each.
    duration_seconds : tuple of (float, float) or None
        The least and the most; None when `bars` decides.
    bars : tuple of int
        Lengths of its loops in bars of four beats; empty when `duration_seconds` decides.
    """

    heads: tuple[str, ...]
    rare: tuple[str, ...]
    qualifiers: tuple[str, ...]
    short: tuple[str, ...]
    patterns: tuple[tuple[str, float], ...]
    duration_seconds: tuple[float, float] | None
    bars: tuple[int, ...]


@dataclass(frozen=True)
class Naming:
    """The whole page.

    Attributes
    ----------
    separators, tempos, keys : tuple of str
        The last two with ``{0}`` where the number or the root goes.
    lists : mapping of str to tuple of str
        What the fields of these names draw from: ``descriptor``, ``phrase``, ...
    categories : mapping of str to CategoryNaming
        All twelve, in the order of `CATEGORIES`.
    """

    separators: tuple[str, ...]
    tempos: tuple[str, ...]
    keys: tuple[str, ...]
    lists: Mapping[str, tuple[str, ...]]
    categories: Mapping[str, CategoryNaming]


def load_naming() -> Naming:
    """Return the naming that ships with the package."""
    page = resources.files("training.prior").joinpath("naming.toml")
    return parse_naming(page.read_text(encoding="utf-8"))


def parse_naming(text: str) -> Naming:
    """Read a page of the form of ``naming.toml``.

    Raises
    ------
    NamingError
        Not TOML, or something missing, unknown or impossible; the message names the place.
    """
    try:
        page = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise NamingError(f"naming.toml is not TOML: {fault}") from fault
    for key in page.keys() - {*_LISTS, *_FORMATS, "patterns", "categories"}:
        raise NamingError(f"naming.toml: {key} is not known")
    categories = _table(page, "categories")
    for name in categories.keys() - set(CATEGORIES):
        raise NamingError(
            f"categories.{name} is none of the twelve categories: {', '.join(CATEGORIES)}"
        )
    for name in CATEGORIES:
        if name not in categories:
            raise NamingError(f"categories.{name} is missing")
    shared = {
        name: _patterns(patterns, f"patterns.{name}")
        for name, patterns in _table(page, "patterns").items()
    }
    return Naming(
        separators=_texts(page, "separators", words=False),
        tempos=_texts(page, "tempos", words=False),
        keys=_texts(page, "keys", words=False),
        lists={name.removesuffix("s"): _texts(page, name) for name in _LISTS},
        categories={name: _category(categories, name, shared) for name in CATEGORIES},
    )


def _category(
    categories: dict[str, Any], name: str, shared: Mapping[str, tuple[tuple[str, float], ...]]
) -> CategoryNaming:
    place = f"categories.{name}"
    entry = _table(categories, name, place)
    for key in entry.keys() - _CATEGORY_KEYS:
        raise NamingError(f"{place}.{key} is not known")
    heads, qualifiers = (
        list(_texts(entry, "heads", place)),
        list(_texts(entry, "qualifiers", place)),
    )
    rare = list(_texts(entry, "rare", place))
    for other in entry.get("heads_of", []):
        if other not in categories:
            raise NamingError(f"{place}.heads_of: {other!r} is no category")
        heads += _texts(categories[other], "heads", f"categories.{other}")
        rare += _texts(categories[other], "rare", f"categories.{other}")
        qualifiers += _texts(categories[other], "qualifiers", f"categories.{other}")
    patterns = _patterns(_table(entry, "own", f"{place}.own"), f"{place}.own")
    for borrowed in entry.get("patterns", []):
        if borrowed not in shared:
            raise NamingError(f"{place}.patterns: {borrowed!r} is not under [patterns]")
        patterns += shared[borrowed]
    if ("bars" in entry) == ("duration_seconds" in entry):
        raise NamingError(f"{place} needs either duration_seconds or bars")
    return CategoryNaming(
        tuple(heads),
        tuple(rare),
        tuple(qualifiers),
        _texts(entry, "short", place),
        patterns,
        _duration(entry["duration_seconds"], place) if "duration_seconds" in entry else None,
        _bars(entry["bars"], place) if "bars" in entry else (),
    )


def _table(page: dict[str, Any], name: str, place: str = "") -> dict[str, Any]:
    value = page.get(name)
    if not isinstance(value, dict):
        raise NamingError(f"{place or name} must be a table, found {value!r}")
    return value


def _texts(
    page: dict[str, Any], name: str, place: str = "naming.toml", *, words: bool = True
) -> tuple[str, ...]:
    value = page.get(name)
    if not isinstance(value, list) or not value:
        raise NamingError(f"{place}: {name} must be a list that is not empty, found {value!r}")
    for text in value:
        if not isinstance(text, str):
            raise NamingError(f"{place}: {name} holds {text!r}, which is no text")
        if words and tokenise(text) == ["<empty>"]:
            raise NamingError(f"{place}: {name} holds {text!r}, which has neither letter nor digit")
        if name in ("tempos", "keys") and "{0}" not in text:
            raise NamingError(f"{place}: {name} holds {text!r}, which lacks {{0}}")
    return tuple(value)


def _patterns(page: object, place: str) -> tuple[tuple[str, float], ...]:
    if not isinstance(page, dict) or not page:
        raise NamingError(f"{place} must hold patterns, found {page!r}")
    for pattern, weight in page.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or weight <= 0:
            raise NamingError(f"{place}: {pattern!r} has the weight {weight!r}, not a number > 0")
        for field in _FIELD.findall(pattern):
            if field not in FIELDS:
                known = ", ".join(sorted(FIELDS))
                raise NamingError(f"{place}: {pattern!r} has the field {field!r}, not of {known}")
        if re.sub(r"\[[^][]*\]", "", pattern).strip(" ") == "":
            raise NamingError(f"{place}: {pattern!r} may leave a name without a word")
        if pattern.count("[") != pattern.count("]"):
            raise NamingError(f"{place}: {pattern!r} has a bracket without its other half")
    return tuple((pattern, float(weight)) for pattern, weight in page.items())


def _duration(value: Any, place: str) -> tuple[float, float]:
    if not _numbers(value) or len(value) != 2 or not 0 < value[0] < value[1]:
        raise NamingError(
            f"{place}.duration_seconds must be the least and the most, found {value!r}"
        )
    return float(value[0]), float(value[1])


def _bars(value: Any, place: str) -> tuple[int, ...]:
    if not _numbers(value) or not value or not all(isinstance(n, int) and n > 0 for n in value):
        raise NamingError(f"{place}.bars must be whole numbers > 0, found {value!r}")
    return tuple(value)


def _numbers(value: Any) -> bool:
    return isinstance(value, Sequence) and all(
        isinstance(number, int | float) and not isinstance(number, bool) for number in value
    )
