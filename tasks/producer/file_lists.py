"""Manifests: lists of files to ingest, as ``find`` writes them, or as a table with vendors.

Each listed file is taken as a sound, whatever its name. A list is never loaded as a whole.
"""

import os
from collections.abc import Callable, Iterator
from itertools import islice
from typing import BinaryIO, Final, NamedTuple, TextIO

from classifier.files.paths import LONGEST_NAME, path_text, printable
from classifier.tables.strict_csv import (
    LONGEST_LINE,
    BadLine,
    CsvRows,
    TableError,
    cell_bytes,
    decoded,
    delimiter_of,
    header_cells,
)
from tasks.producer.locator import (
    LONGEST_PATH_BYTES,
    FoundSound,
    Locator,
    real_path,
)

#: The first columns of a table; further ones are ignored.
_COLUMNS: Final = ["path", "vendor"]

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_UTF_16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_ZIP_MARK: Final = b"PK\x03\x04"
_GZIP_MARK: Final = b"\x1f\x8b"

#: How many lines of a list are examined for being a table.
_LINES_EXAMINED: Final = 20

_READ_BYTES: Final = 256 * 1024


class ListedFile(NamedTuple):
    """An entry of a list: a path and, from a table, its vendor."""

    line: int
    path: bytes
    vendor: str | None = None


def read_file_list(stream: BinaryIO) -> Iterator[ListedFile | BadLine]:
    """Yield the entries of a manifest in order, without empty lines.

    - `stream`: contains paths separated by NUL (``find -print0``), one path a line (``find``), or a
      CSV table whose first line starts with ``path,vendor``. It must be seekable, because it is
      read twice: first to look for a NUL, then for the entries.

    Raises TableError: the list is in UTF-16 or compressed, is or looks like a table with other
    columns (each line would be taken for a path), or is a table that contains a NUL.
    """
    start = stream.tell()
    nul = any(b"\0" in part for part in iter(lambda: stream.read(_READ_BYTES), b""))
    stream.seek(start)
    if stream.read(len(_BYTE_ORDER_MARK)) == _BYTE_ORDER_MARK:
        start += len(_BYTE_ORDER_MARK)
    stream.seek(start)
    delimiter = _table_delimiter(stream.readline(LONGEST_PATH_BYTES), nul)
    stream.seek(start)
    if delimiter is None:
        if not nul:
            _refuse_table(stream)
            stream.seek(start)
        return _read_list(stream, b"\0" if nul else b"\n")
    return _read_table(stream, delimiter)


def _table_delimiter(first_line: bytes, nul: bool) -> str | None:
    """Return the separator of a table that starts with this line; None for a list."""
    if first_line.startswith(_UTF_16_MARKS):
        raise TableError("the manifest is in UTF-16: save it as UTF-8")
    if first_line.startswith(_ZIP_MARK):
        raise TableError(
            "the manifest is a ZIP archive or an Excel workbook: unpack it, or save the workbook "
            "as “CSV UTF-8”"
        )
    if first_line.startswith(_GZIP_MARK):
        raise TableError("the manifest is compressed with gzip: unpack it first")
    if b"\0" in first_line:
        return None
    header = first_line.decode("utf-8", "surrogateescape")
    delimiter = delimiter_of(header, _COLUMNS)
    columns = header_cells(header, delimiter)
    is_table = columns[: len(_COLUMNS)] == _COLUMNS
    if is_table and nul:
        raise TableError("the manifest is a table that contains a NUL, which no path can contain")
    # A table exported for another purpose: a first line like this is not a path.
    if not is_table and columns[:1] == ["path"] and len(columns) > 1:
        raise TableError(
            f"the manifest starts like a table, with {_shown(first_line)!r}; "
            "expected a first line that starts with path,vendor, or one path per line and no header"
        )
    return delimiter if is_table else None


def _refuse_table(stream: BinaryIO) -> None:
    """Raise TableError if each of the first lines has a comma, and none is an existing path."""
    parts = iter(lambda: stream.readline(LONGEST_PATH_BYTES), b"")
    lines = [line.rstrip(b"\r\n") for line in islice(parts, _LINES_EXAMINED)]
    lines = [line for line in lines if line]
    if len(lines) > 1 and all(b"," in line for line in lines):
        if any(map(os.path.lexists, lines)):
            return
        raise TableError(
            f"the manifest looks like a table, with {_shown(lines[0])!r}: each of its first lines "
            "has a comma, and none is an existing path; expected a first line that starts with "
            "path,vendor, or one path per line and no header"
        )


def _shown(line: bytes) -> str:
    return printable(path_text(line.rstrip()[:60]))


def _read_list(stream: BinaryIO, end: bytes) -> Iterator[ListedFile | BadLine]:
    for number, (path, length) in enumerate(_cut(stream, end), start=1):
        if end == b"\n" and path.endswith(b"\r"):
            path, length = path[:-1], length - 1
        if length >= LONGEST_PATH_BYTES:
            yield _too_long(number, length)
        elif path:
            yield ListedFile(number, path)


def _cut(stream: BinaryIO, end: bytes) -> Iterator[tuple[bytes, int]]:
    """Split at `end` and yield each entry with its full length; long entries may be shortened."""
    rest, length = b"", 0  # the entry whose end has not been read yet
    while part := stream.read(_READ_BYTES):
        first, *others = part.split(end)
        rest, length = _bounded(rest + first), length + len(first)
        if others:
            yield rest, length
            *whole, rest = others
            for entry in whole:
                yield entry, len(entry)
            rest, length = _bounded(rest), len(rest)
    yield rest, length


def _bounded(entry: bytes) -> bytes:
    """Shorten an entry to the longest path, and keep its last byte, which may be a CR."""
    return entry if len(entry) <= LONGEST_PATH_BYTES else entry[:LONGEST_PATH_BYTES] + entry[-1:]


def _too_long(number: int, length: int) -> BadLine:
    return BadLine(number, f"a path of {length:,} bytes is too long")


def _read_table(stream: BinaryIO, delimiter: str) -> Iterator[ListedFile | BadLine]:
    with decoded(stream) as text:
        lines = _lines(text)
        columns = header_cells(next(lines, ""), delimiter)
        for row in CsvRows(lines, delimiter=delimiter, first_line=2, width=len(columns)):
            if isinstance(row, BadLine):
                yield row
                continue
            path, vendor = map(cell_bytes, row.cells[: len(_COLUMNS)])
            if path:
                yield ListedFile(row.line, path, path_text(vendor.strip()) or None)


def _lines(text: TextIO) -> Iterator[str]:
    """Yield the lines of a table; only the beginning of a line that is too long for `CsvRows`."""
    while line := text.readline(LONGEST_LINE + 1):
        yield line
        while len(line) > LONGEST_LINE and not line.endswith(("\n", "\r")):
            line = text.readline(LONGEST_LINE + 1)


def listed_sound(
    entry: ListedFile,
    locator: Locator,
    real_folder: Callable[[bytes], bytes] = real_path,
) -> FoundSound | BadLine:
    """Return the file that an entry names, or why the entry is bad; arguments as `Locator.resolve`.

    A missing file is not a bad line: a worker writes its error row.

    Raises OutsideRootsError: as `Locator.library_root`.
    """
    if len(entry.path) >= LONGEST_PATH_BYTES:
        return _too_long(entry.line, len(entry.path))
    if entry.vendor is not None and len(entry.vendor) > LONGEST_NAME:
        return BadLine(
            entry.line,
            f"its vendor has {len(entry.vendor):,} characters; expected at most {LONGEST_NAME}",
        )
    resolved = locator.resolve(entry.path, real_folder)
    root = locator.library_root(resolved)
    if resolved == root.folder:
        shown = printable(path_text(entry.path))
        return BadLine(entry.line, f"{shown} is a library root, not a file")
    return locator.sound(root, resolved, entry.vendor)
