"""Read CSV tables row by row; malformed rows are reported, never repaired by guessing."""

import csv
import io
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import BinaryIO, Final, NamedTuple, TextIO

from classifier.errors import CratesortError
from classifier.files.paths import path_text, printable

#: Maximum length of a line or row, so that an endless one (/dev/zero) cannot fill the memory.
LONGEST_LINE: Final = 1 << 20

#: In messages cells are cut to this many characters, and at most this many columns are named.
_LONGEST_SHOWN: Final = 200
_MOST_COLUMNS_SHOWN: Final = 30

#: Byte order marks of UTF-16, as `decoded` returns them.
_UTF_16_MARKS: Final = ("\udcff\udcfe", "\udcfe\udcff")


#: The first two bytes of gzip, as `decoded` returns them.
_GZIP_MARK: Final = "\x1f\udc8b"

_ZIP_MARK: Final = "PK\x03\x04"


class TableError(CratesortError):
    """A table that cannot be read; the message names the file and the line."""


class Row(NamedTuple):
    """The cells of a row.

    - `line`: the first of the row's lines, counted from 1.
    """

    line: int
    cells: list[str]


class BadLine(NamedTuple):
    """A malformed row: the line where it begins, and the reason in one line."""

    line: int
    reason: str

    def __str__(self) -> str:
        """Return the line's number and the reason."""
        return f"line {self.line}: {self.reason}"


def shown(cell: str) -> str:
    """Return a cell for use in a message: printable and not too long."""
    text = printable(path_text(cell_bytes(cell)))
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def shown_columns(columns: Collection[str]) -> str:
    """Return the names of a table's columns for use in a message."""
    first = ", ".join(map(shown, islice(columns, _MOST_COLUMNS_SHOWN)))
    more = len(columns) - _MOST_COLUMNS_SHOWN
    return f"{first} and {more:,} more" if more > 0 else first or "an empty file"


def cell_bytes(cell: str) -> bytes:
    """Return the bytes that a cell has in the file."""
    return cell.encode("utf-8", "surrogateescape")


@contextmanager
def decoded(stream: BinaryIO) -> Iterator[TextIO]:
    """Decode UTF-8, with or without a byte order mark.

    Other bytes become surrogate escapes: names on most file systems are bytes. The stream stays
    open.
    """
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield text
    finally:
        if not stream.closed:
            text.detach()  # closing the wrapper would close the stream


def bounded_lines(text: TextIO, name: str) -> Iterator[str]:
    """Yield the lines of a table.

    Raises TableError: a line is too long, or the first line shows that the file is not UTF-8 text.
    """
    number = 0
    while line := text.readline(LONGEST_LINE):
        number += 1
        if number == 1 and line.startswith(_GZIP_MARK):
            raise TableError(f"{name} is compressed with gzip; unpack it first")
        if number == 1 and line.startswith(_ZIP_MARK):
            raise TableError(
                f"{name} is a ZIP archive or an Excel workbook; unpack it, or save the workbook as "
                "“CSV UTF-8”"
            )
        if number == 1 and ("\0" in line or line.startswith(_UTF_16_MARKS)):
            raise TableError(f"{name} is not UTF-8 text (it may be UTF-16); save it as “CSV UTF-8”")
        if len(line) == LONGEST_LINE:
            raise TableError(
                f"{name}, line {number}: the line has more than {LONGEST_LINE:,} characters; "
                "expected a CSV table"
            )
        yield line


def delimiter_of(header: str, names: Collection[str]) -> str:
    """Return the delimiter of a header line: comma, semicolon or tab.

    The delimiter that finds most of `names` is chosen, then the one that finds most columns.
    """

    def matches(delimiter: str) -> tuple[int, int]:
        columns = header_cells(header, delimiter)
        return len(set(columns) & set(names)), len(columns)

    return max((",", ";", "\t"), key=matches)


def header_cells(header: str, delimiter: str) -> list[str]:
    """Return the cells of a header line in lower case; empty if it is not CSV."""
    try:
        cells = next(csv.reader([header], delimiter=delimiter), [])
    except csv.Error:
        return []
    return [cell.strip().lower() for cell in cells]


class CsvRows(Iterator[Row | BadLine]):
    """Iterate over the rows of a CSV table; blank lines are skipped.

    After a malformed row, reading continues with the next row.

    - `lines`: lines with their line ends.
    - `first_line`: the number of the first of `lines` in the file.
    - `width`: the number of columns. Shorter rows are padded with empty cells; longer rows are
      malformed, unless the extra cells are blank. None: rows may have any length.
    """

    def __init__(
        self,
        lines: Iterable[str],
        *,
        delimiter: str = ",",
        first_line: int = 1,
        width: int | None = None,
    ) -> None:
        # Strict: an unclosed quotation mark would otherwise swallow the lines that follow.
        self._reader = csv.reader(map(self._counted, lines), delimiter=delimiter, strict=True)
        self._next_line = first_line
        self._row_length = 0
        self.width = width

    def _counted(self, line: str) -> str:
        self._next_line += 1
        self._row_length += len(line)
        if self._row_length > LONGEST_LINE:
            raise csv.Error(f"the row has more than {LONGEST_LINE:,} characters")
        return line

    def __next__(self) -> Row | BadLine:
        cells: list[str] = []
        while not cells:
            line, self._row_length = self._next_line, 0
            try:
                cells = next(self._reader)
            except csv.Error as error:
                last = self._next_line - 1
                extent = f" up to line {last}" if last > line else ""
                return BadLine(line, f"not CSV{extent}: {error}")
        if self.width is not None and len(cells) != self.width:
            if any(cell.strip() for cell in cells[self.width :]):
                return BadLine(
                    line,
                    f"not CSV: {len(cells)} cells; expected {self.width}. Put quotation "
                    "marks around a path with a comma",
                )
            cells = cells[: self.width] + [""] * (self.width - len(cells))
        return Row(line, cells)
