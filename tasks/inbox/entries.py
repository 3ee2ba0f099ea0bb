"""One entry of the inbox: a path, or a JSON object, into the sound it names, or why it names none.

An entry was written by anybody, in any language.
"""

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from classifier.categories import category_index
from classifier.files.paths import path_text, printable
from classifier.tables.strict_csv import BadLine
from tasks.inbox.redis_lists import LONGEST_ENTRY_BYTES, BadEntry
from tasks.producer.file_lists import ListedFile, listed_sound
from tasks.producer.locator import FoundSound, Locator, OutsideRootsError

#: All that a JSON entry may say.
_KEYS: Final = ("path", "root", "vendor", "label")

#: How much of a stranger's word, and of a reason that repeats some, is shown.
_SHOWN_CHARACTERS: Final = 80
_REASON_CHARACTERS: Final = 1000


class _EntryError(ValueError):
    """An entry that cannot be taken; its text is the reason."""


@dataclass(frozen=True, slots=True)
class NamedSound:
    """What an entry asks for.

    Attributes
    ----------
    label : str or None
        One of `classifier.categories.CATEGORIES`, for training to learn from.
    """

    sound: FoundSound
    label: str | None


def read_entries(
    entries: Iterable[bytes], locator: Locator
) -> tuple[list[NamedSound], list[BadEntry]]:
    """Read entries, each by itself.

    Returns
    -------
    list of NamedSound
        One an entry, in their order.
    """
    named: list[NamedSound] = []
    bad: list[BadEntry] = []
    for entry in entries:
        try:
            named.append(_read(entry, locator))
        except _EntryError as error:
            bad.append(BadEntry(entry, printable(str(error))[:_REASON_CHARACTERS], _now()))
    return named, bad


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an entry says, before anybody has looked whether that makes sense here."""

    path: bytes
    root: str | None = None
    vendor: str | None = None
    label: str | None = None


def _read(entry: bytes, locator: Locator) -> NamedSound:
    if len(entry) > LONGEST_ENTRY_BYTES:
        raise _EntryError(f"longer than {LONGEST_ENTRY_BYTES:,} bytes; only its beginning was kept")
    if not entry:
        raise _EntryError("empty: expected a path or a JSON object")
    asked = _parse(entry) if entry.startswith(b"{") else _Asked(entry)
    if b"\0" in asked.path:
        raise _EntryError("its path holds a NUL, which no file name can")
    if asked.label is not None:
        try:
            category_index(asked.label)
        except ValueError as error:
            raise _EntryError(f"its label is an {error}") from None
    return NamedSound(_locate(asked, locator), asked.label)


def _locate(asked: _Asked, locator: Locator) -> FoundSound:
    path = asked.path
    if asked.root is not None:
        try:
            path = locator.below(asked.root, path)
        except OutsideRootsError as error:
            raise _EntryError(str(error)) from None
    elif not path.startswith(b"/"):
        raise _EntryError(
            "its path is relative and no root is named: expected an absolute path, or "
            '{"root": NAME, "path": PATH}'
        )
    # As for a manifest of one line: a file is taken as a sound, whatever its name.
    found = listed_sound(ListedFile(1, path, asked.vendor), locator)
    if isinstance(found, BadLine):
        raise _EntryError(found.reason)
    return found


def _parse(entry: bytes) -> _Asked:
    try:
        # Never more than the longest entry, but its brackets may be nested as deep as that.
        parsed = json.loads(entry.decode())
    except UnicodeDecodeError:
        raise _EntryError(
            "it starts with { and is not UTF-8: expected a JSON object. In JSON a byte NN that is "
            "no UTF-8 is written \\udcNN"
        ) from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise _EntryError(f"it starts with {{ and is not JSON: {reason}") from None
    said = {key: _text(key, value) for key, value in parsed.items() if value is not None}
    # An empty text says as little as null, as in a manifest's table.
    asked = {key: text for key, text in said.items() if text}
    if "path" not in asked:
        raise _EntryError('it has no path: expected {"path": PATH, ...}')
    try:
        texts = {key: text.encode("utf-8", "surrogateescape") for key, text in asked.items()}
    except UnicodeEncodeError:
        raise _EntryError(
            "it holds half a surrogate pair, which is no character; of these only \\udc80 to "
            "\\udcff mean something: a byte that is no UTF-8"
        ) from None
    return _Asked(texts.pop("path"), **{key: path_text(text) for key, text in texts.items()})


def _text(key: str, value: Any) -> str:
    """Return what a JSON entry says under a key."""
    if key not in _KEYS:
        close = difflib.get_close_matches(key[:_SHOWN_CHARACTERS], _KEYS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"expected {', '.join(_KEYS)}"
        raise _EntryError(f"unknown key {_shown(key)}; {hint}")
    if not isinstance(value, str):
        raise _EntryError(f"its {key} is {_shown(json.dumps(value))}: expected a text")
    if key == "path":
        return value  # a name may begin with a space
    if "\0" in value:
        raise _EntryError(f"its {key} holds a NUL")
    return value.strip()


def _shown(text: str) -> str:
    cut = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
    return repr(cut)
