"""Manifests: lists of files to ingest, as ``find`` writes them or as a table with vendors.

Each listed file is taken as a sound, whatever its name. What is not here: walking
(`tasks.finding`).
"""

import csv
import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from classifier.paths import path_text, printable
from tasks.finding import FoundSound, Locator, OutsideRootsError

#: No operating system takes a longer path (Linux: PATH_MAX); a longer line is not one.
_LONGEST_PATH_BYTES: Final = 4096

#: A first line that makes the manifest a CSV table; further columns are passed over.
_CSV_HEADER: Final = b"path,vendor"


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry: a path and, from a table, its vendor."""

    number: int
    path: bytes
    vendor: str | None


@dataclass(frozen=True, slots=True)
class BadLine:
    """An entry that cannot be taken, and why."""

    number: int
    reason: str

    def __str__(self) -> str:
        """Return the fault as one line."""
        return f"line {self.number}: {self.reason}"


def read_manifest(data: bytes) -> Iterator[Listed | BadLine]:
    """Yield the entries of a manifest.

    Parameters
    ----------
    data : bytes
        One path a line (``find``), or separated by NUL when it holds any (``find -print0``), or a
        CSV table whose first line starts with ``path,vendor``.

    Yields
    ------
    Listed or BadLine
        In order; empty lines are passed over.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in data:
        entries: Iterable[bytes] = data.split(b"\0")
    elif data[: len(_CSV_HEADER)].lower() == _CSV_HEADER:
        yield from _read_table(data)
        return
    else:
        entries = (line.removesuffix(b"\r") for line in data.split(b"\n"))
    for number, path in enumerate(entries, start=1):
        if path:
            yield Listed(number, path, None)


def _read_table(data: bytes) -> Iterator[Listed | BadLine]:
    text = io.StringIO(os.fsdecode(data), newline="")
    # Strict: a quotation mark that is never closed would else swallow the lines below it unsaid.
    text.readline()  # its header
    reader = csv.reader(text, strict=True)
    while True:
        first_line = reader.line_num + 2
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            last_line = reader.line_num + 1
            down = f" down to line {last_line}" if last_line > first_line else ""
            yield BadLine(first_line, f"not CSV{down}: {error}")
            continue
        if row and row[0]:
            vendor = row[1].strip() if len(row) > 1 else ""
            yield Listed(reader.line_num + 1, os.fsencode(row[0]), path_text(vendor) or None)


def find_listed(
    entries: Iterable[Listed | BadLine],
    locator: Locator,
    bad: list[BadLine],
    found_before: Iterable[tuple[str, str]] = (),
) -> Iterator[FoundSound]:
    """Yield the files a manifest names.

    Parameters
    ----------
    entries : iterable of Listed or BadLine
    locator : Locator
    bad : list of BadLine
        Gets each entry that cannot be taken; the others are still yielded. A file that is not
        there is not bad: it gets its row from a worker.
    found_before : iterable of (root, path)
        Sounds the same ingest has already: not found twice.

    Yields
    ------
    FoundSound
        One a file, even when several lines lead to it.
    """
    seen = set(found_before)
    for entry in entries:
        if isinstance(entry, BadLine):
            bad.append(entry)
            continue
        if len(entry.path) >= _LONGEST_PATH_BYTES:
            bad.append(BadLine(entry.number, f"{len(entry.path):,} bytes are too long for a path"))
            continue
        resolved = locator.resolve(entry.path)
        try:
            place = locator.place(resolved)
        except OutsideRootsError as error:
            bad.append(BadLine(entry.number, str(error)))
            continue
        if resolved == place.folder:
            shown = printable(path_text(entry.path))
            bad.append(BadLine(entry.number, f"{shown} is a whole library root, not a file"))
            continue
        try:
            status = os.stat(resolved)
        except OSError:
            status = None
        sound = locator.sound(place, resolved, os.path.dirname(resolved), status, entry.vendor)
        if (sound.root, sound.path) not in seen:
            seen.add((sound.root, sound.path))
            yield sound
