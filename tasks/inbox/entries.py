"""Entries of the inbox: a path or a JSON object, and the sound it names.

Entries come from any program in any language, so none is trusted.
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
from tasks.producer.locator import LONGEST_PATH_BYTES, FoundSound, Locator, OutsideRootsError

#: The keys of a JSON entry.
_KEYS: Final = ("path", "root", "vendor", "label")

#: Most characters of an entry that a reason quotes, and of a reason that is kept.
_SHOWN_CHARACTERS: Final = 80
_REASON_CHARACTERS: Final = 1000

#: The same for every path outside, existing or not: producers must learn nothing about this host.
_OUTSIDE: Final = (
    "its path is in no library root of the intake's host (CRATESORT_LIBRARY_ROOTS on that host)"
)


class _EntryError(ValueError):
    """An entry that cannot be taken; its text is the reason."""


@dataclass(frozen=True, slots=True)
class NamedSound:
    """The sound an entry names, and its label: one of `classifier.categories.CATEGORIES`."""

    sound: FoundSound
    label: str | None


def read_entries(
    entries: Iterable[bytes], locator: Locator
) -> tuple[list[NamedSound], list[BadEntry]]:
    """Return the sounds that entries name, in their order, and the invalid entries."""
    named: list[NamedSound] = []
    bad: list[BadEntry] = []
    for entry in entries:
        try:
            named.append(_read(entry, locator))
        except _EntryError as error:
            bad.append(bad_entry(entry, str(error)))
    return named, bad


def bad_entry(entry: bytes, reason: str) -> BadEntry:
    """Return an entry for the dead list, with the current time."""
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    return BadEntry(entry, printable(reason)[:_REASON_CHARACTERS], moment)


@dataclass(frozen=True, slots=True)
class _Fields:
    path: bytes
    root: str | None = None
    vendor: str | None = None
    label: str | None = None


def _read(entry: bytes, locator: Locator) -> NamedSound:
    if len(entry) > LONGEST_ENTRY_BYTES:
        raise _EntryError(f"longer than {LONGEST_ENTRY_BYTES:,} bytes; only its beginning was kept")
    if not entry:
        raise _EntryError("empty: expected a path or a JSON object")
    fields = _parse(entry) if entry.startswith(b"{") else _Fields(entry)
    if b"\0" in fields.path:
        raise _EntryError("its path contains a NUL byte, which no file name can contain")
    if fields.label is not None:
        try:
            category_index(fields.label)
        except ValueError as error:
            raise _EntryError(f"its label is an {error}") from None
    return NamedSound(_locate(fields, locator), fields.label)


def _locate(fields: _Fields, locator: Locator) -> FoundSound:
    path = fields.path
    if len(path) >= LONGEST_PATH_BYTES:
        raise _EntryError(f"a path of {len(path):,} bytes is too long")
    if fields.root is not None:
        try:
            path = locator.below(fields.root, path)
        except OutsideRootsError as error:
            raise _EntryError(str(error)) from None
    elif not path.startswith(b"/"):
        raise _EntryError(
            "its path is relative and it names no root: expected an absolute path, or "
            '{"root": NAME, "path": PATH}'
        )
    # As for a manifest of one line: a file is taken as a sound, whatever its name.
    try:
        sound = listed_sound(ListedFile(1, path, fields.vendor), locator)
    except OutsideRootsError:
        raise _EntryError(_OUTSIDE) from None
    if isinstance(sound, BadLine):
        raise _EntryError(sound.reason)
    return sound


def _parse(entry: bytes) -> _Fields:
    try:
        parsed = json.loads(entry.decode())
    except UnicodeDecodeError:
        raise _EntryError(
            "it starts with { and is not UTF-8: expected a JSON object, in which a byte 0xNN that "
            "is not UTF-8 is written \\udcNN"
        ) from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise _EntryError(f"it starts with {{ and is not JSON: {reason}") from None
    fields = {key: _text(key, value) for key, value in parsed.items() if value is not None}
    # An empty text counts as missing, like null and as in a manifest's table.
    given = {key: text for key, text in fields.items() if text}
    if "path" not in given:
        raise _EntryError('it has no path: expected {"path": PATH, ...}')
    try:
        texts = {key: text.encode("utf-8", "surrogateescape") for key, text in given.items()}
    except UnicodeEncodeError:
        raise _EntryError(
            "it contains half a surrogate pair; only \\udc80 to \\udcff are allowed, for bytes "
            "that are not UTF-8"
        ) from None
    return _Fields(texts.pop("path"), **{key: path_text(text) for key, text in texts.items()})


def _text(key: str, value: Any) -> str:
    """Return the text under a key of a JSON entry."""
    if key not in _KEYS:
        close = difflib.get_close_matches(key[:_SHOWN_CHARACTERS], _KEYS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"expected {', '.join(_KEYS)}"
        raise _EntryError(f"unknown key {_shown(key)}; {hint}")
    if not isinstance(value, str):
        raise _EntryError(f"its {key} is {_shown(json.dumps(value))}: expected a string")
    if key == "path":
        return value  # a name may begin with a space
    if "\0" in value:
        raise _EntryError(f"its {key} contains a NUL character")
    return value.strip()


def _shown(text: str) -> str:
    cut = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
    return repr(cut)
