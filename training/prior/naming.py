"""Read and validate `naming.toml`, which describes how vendors name their sounds.

The file is meant to be extended by people who know sounds but not this program, so the error for a
mistake names the faulty entry.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from classifier.categories import CATEGORIES
from classifier.names.tokens import tokenise
from training.errors import NamingError

#: Word lists of the file. The pattern field that draws from a list has its name without the "s".
_LISTS: Final = (
    "descriptors", "phrases", "machines", "dynamics", "articulations", "rounds", "lyrics",
)  # fmt: skip

#: Fields that a pattern may contain.
_FIELDS: Final = {
    "word", "short", "element", "code", "name", "index", "number", "bpm", "key", "root", "note",
    *(name.removesuffix("s") for name in _LISTS),
}  # fmt: skip


def _checked_category(name: str) -> str:
    if name not in CATEGORIES:
        raise ValueError(f"unknown category; expected one of {', '.join(CATEGORIES)}")
    return name


def _checked_word(text: str) -> str:
    if tokenise(text) == ["<empty>"]:
        raise ValueError("contains neither a letter nor a digit")
    return text


def _checked_format(text: str) -> str:
    if "{0}" not in text:
        raise ValueError("lacks {0}")
    return text


def _checked_pattern(pattern: str) -> str:
    for field in re.findall(r"\{(\w*)\}", pattern):
        if field not in _FIELDS:
            raise ValueError(
                f"unknown field {field!r}; expected one of {', '.join(sorted(_FIELDS))}"
            )
    if re.sub(r"\[[^][]*\]", "", pattern).strip(" ") == "":
        raise ValueError("consists of optional parts only")
    if pattern.count("[") != pattern.count("]"):
        raise ValueError("has an unmatched bracket")
    return pattern


#: The name of a category.
Category = Annotated[str, AfterValidator(_checked_category)]
_Model = TypeVar("_Model", bound=BaseModel)
_Texts = Annotated[tuple[str, ...], Field(min_length=1)]
_Words = Annotated[tuple[Annotated[str, AfterValidator(_checked_word)], ...], Field(min_length=1)]
_Formats = Annotated[
    tuple[Annotated[str, AfterValidator(_checked_format)], ...], Field(min_length=1)
]
_Patterns = Annotated[
    dict[Annotated[str, AfterValidator(_checked_pattern)], PositiveFloat], Field(min_length=1)
]


class _CategoryTable(BaseModel, extra="forbid"):
    heads: _Words
    heads_of: tuple[str, ...] = ()
    rare: _Words
    qualifiers: _Words
    short: _Words
    patterns: tuple[str, ...] = ()
    own: _Patterns
    duration_seconds: tuple[PositiveFloat, PositiveFloat] | None = None
    bars: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _check_length(self) -> "_CategoryTable":
        if (self.bars is None) == (self.duration_seconds is None):
            raise ValueError("needs either duration_seconds or bars")
        if self.duration_seconds and self.duration_seconds[0] >= self.duration_seconds[1]:
            raise ValueError("duration_seconds must be a minimum and a larger maximum")
        return self


class _NamingFile(BaseModel, extra="forbid"):
    separators: _Texts
    tempos: _Formats
    keys: _Formats
    descriptors: _Words
    phrases: _Words
    machines: _Words
    dynamics: _Words
    articulations: _Words
    rounds: _Words
    lyrics: _Words
    unspecific: _Words
    patterns: dict[str, _Patterns]
    categories: dict[Category, _CategoryTable]


@dataclass(frozen=True)
class CategoryNaming:
    """How sounds of one category are named; the head of ``naming.toml`` explains the fields.

    `patterns` are pairs of a pattern and its weight. The length of a sound is given either by
    `duration_seconds` (minimum and maximum) or by `bars` of four beats.
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
    """The content of ``naming.toml``.

    `tempos` and `keys` contain ``{0}`` in place of the number or the root note. `lists` maps a
    pattern field (``descriptor``, ``phrase``, ...) to the texts it draws from. `categories` is in
    the order of `CATEGORIES`. `unspecific` are words of a category that are no evidence for it.
    """

    separators: tuple[str, ...]
    tempos: tuple[str, ...]
    keys: tuple[str, ...]
    lists: Mapping[str, tuple[str, ...]]
    unspecific: frozenset[str]
    categories: Mapping[str, CategoryNaming]


def load_naming() -> Naming:
    """Return the naming that ships with the package."""
    page = resources.files("training.prior").joinpath("naming.toml")
    return parse_naming(page.read_text(encoding="utf-8"))


def parse_naming(text: str) -> Naming:
    """Parse the text of a ``naming.toml``.

    Raises `NamingError` if it is not TOML or an entry is missing, unknown or invalid; the message
    names the entry.
    """
    page = read_toml(_NamingFile, text, "naming.toml")
    for name in CATEGORIES:
        if name not in page.categories:
            raise NamingError(f"naming.toml: categories.{name} is missing")
    return Naming(
        separators=page.separators,
        tempos=page.tempos,
        keys=page.keys,
        lists={name.removesuffix("s"): getattr(page, name) for name in _LISTS},
        unspecific=frozenset(page.unspecific),
        categories={name: _category(page, name) for name in CATEGORIES},
    )


def read_toml(model: type[_Model], text: str, name: str) -> _Model:
    """Validate a TOML text as a `model`; `NamingError` names the file, the entry and its value."""
    try:
        return model.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise NamingError(f"{name} is not valid TOML: {error}") from error
    except ValidationError as error:
        first: Any = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise NamingError(f"{name}: {place}: {reason}; got {first['input']!r}") from error


def _category(page: _NamingFile, name: str) -> CategoryNaming:
    """Return a category, including the words and patterns it takes from others."""
    own, place = page.categories[name], f"naming.toml: categories.{name}"
    for other in own.heads_of:
        if other not in page.categories:
            raise NamingError(f"{place}.heads_of: unknown category {other!r}")
    for borrowed in own.patterns:
        if borrowed not in page.patterns:
            raise NamingError(f"{place}.patterns: {borrowed!r} is not under [patterns]")
    sources = [own, *(page.categories[other] for other in own.heads_of)]
    patterns = [own.own, *(page.patterns[borrowed] for borrowed in own.patterns)]
    return CategoryNaming(
        heads=tuple(word for source in sources for word in source.heads),
        rare=tuple(word for source in sources for word in source.rare),
        qualifiers=tuple(word for source in sources for word in source.qualifiers),
        short=own.short,
        patterns=tuple(pattern for table in patterns for pattern in table.items()),
        duration_seconds=own.duration_seconds,
        bars=own.bars or (),
    )
