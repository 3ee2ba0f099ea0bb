"""Reading a table of labels, row by row: path, category, and perhaps source and root.

Tables come out of spreadsheets: with a byte order mark, CRLF, semicolons or tabs, blank rows,
further columns (passed over). What was meant is never guessed: a row that cannot be taken is a
fault with its line, and a table that is a model's own answers is refused whole.
"""

import csv
import difflib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import BinaryIO, Final

from classifier.categories import CATEGORIES
from classifier.errors import CratesortError
from classifier.files.paths import path_text, printable
from cli.console.csv_cells import unguarded
from db.tables import LabelSource

#: Columns that only `cratesort results` and `cratesort predict` write beside a category, which is
#: then the model's.
_COLUMNS_OF_RESULTS: Final = ("confidence", "top3", "model_version", "label")

_NEEDED: Final = ("path", "category")
_READ: Final[tuple[str, ...]] = (*_NEEDED, "source", "root")

#: No table of paths and categories has longer lines; /dev/zero must not fill the memory.
_LONGEST_LINE: Final = 1 << 20

_LONGEST_SHOWN: Final = 200


class LabelTableError(CratesortError):
    """A file that is no table of labels, or one nobody should learn from."""


class FaultKind(StrEnum):
    """Why a row cannot be taken."""

    NOT_CSV = "not CSV"
    NO_PATH = "no path"
    UNKNOWN_CATEGORY = "unknown category"
    UNKNOWN_SOURCE = "unknown source"
    UNKNOWN_PATH = "unknown path"
    NOT_UTF8 = "not UTF-8"
    AMBIGUOUS_PATH = "ambiguous path"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that cannot be taken.

    Attributes
    ----------
    line : int
        The first of the row's lines, counted from 1 with the header.
    reason : str
        One line, safe to print.
    """

    kind: FaultKind
    line: int
    reason: str

    def __str__(self) -> str:
        """Return the fault as one line."""
        return f"line {self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A row whose category and source are known.

    Attributes
    ----------
    path : str
        The cell as it stands; bytes that are not UTF-8 as surrogate escapes.
    root : str
        Empty when the table does not say.
    """

    line: int
    path: str
    root: str
    category: str
    source: LabelSource


def as_bytes(cell: str) -> bytes:
    """Return a cell as it stood in the file."""
    return cell.encode("utf-8", "surrogateescape")


def shown(cell: str) -> str:
    """Return a cell of a table as it may be printed."""
    text = printable(path_text(as_bytes(cell)))
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


@lru_cache(maxsize=1024)  # a table that is wrong is wrong in the same way a million times
def unknown_category(category: str) -> str:
    """Return the sentence about a category that is none of the twelve."""
    if not category:
        return f"no category; expected one of {', '.join(CATEGORIES)}"
    folded = "-".join(category[:_LONGEST_SHOWN].lower().replace("_", " ").split())
    close = [folded] if folded in CATEGORIES else difflib.get_close_matches(folded, CATEGORIES, 2)
    hint = f"did you mean {' or '.join(close)}?" if close else f"expected {', '.join(CATEGORIES)}"
    return f"unknown category '{shown(category)}'; {hint}"


def read_label_table(stream: BinaryIO, name: str) -> Iterator[LabelRow | Fault]:
    """Yield the rows of a table of labels.

    Parameters
    ----------
    name : str
        Of the file, for messages.

    Yields
    ------
    LabelRow or Fault
        In the table's order. Nothing but the row at hand is kept.

    Raises
    ------
    LabelTableError
        There is no table with a path and a category a row, or it is what a model said.
    """
    lines = _lines(stream, name)
    header = next(lines, "")
    delimiter, columns = _columns(header, name)
    at = {column: columns.index(column) for column in _READ if column in columns}
    # Strict: a quotation mark that is never closed would else swallow the lines below it unsaid.
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 2
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            last = reader.line_num + 1
            down = f" down to line {last}" if last > line else ""
            yield Fault(FaultKind.NOT_CSV, line, f"not CSV{down}: {error}")
            continue
        if any(cell.strip() for cell in cells):
            yield _row(line, cells, at, len(columns))


def _lines(stream: BinaryIO, name: str) -> Iterator[str]:
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
    number = 0
    while line := text.readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE:
            raise LabelTableError(
                f"{name}, line {number}: over {_LONGEST_LINE:,} characters; expected a CSV table "
                "with the columns path and category"
            )
        yield line


def _columns(header: str, name: str) -> tuple[str, list[str]]:
    if "\0" in header or header.startswith(("\udcff\udcfe", "\udcfe\udcff")):
        raise LabelTableError(
            f"{name} is no text in UTF-8 (in UTF-16, perhaps): save it as “CSV UTF-8”"
        )
    delimiter, columns = max(
        ((mark, _named(header, mark)) for mark in (",", ";", "\t")),
        key=lambda found: (sum(column in found[1] for column in _NEEDED), len(found[1])),
    )
    of_results = [column for column in _COLUMNS_OF_RESULTS if column in columns]
    if of_results and "category" in columns:
        raise LabelTableError(
            f"{name} looks like the output of `cratesort results` or `predict` (it has a column "
            f"{of_results[0]}): its categories are what the model says, and a model must not learn "
            "from itself. Keep only the columns path and category, of the rows that a person has "
            "checked."
        )
    missing = [column for column in _NEEDED if column not in columns]
    if missing:
        raise LabelTableError(
            f"{name}, line 1: expected the columns path,category and perhaps source; there is no "
            f"{' and no '.join(missing)} in: {shown(header.strip()) or 'an empty file'}"
        )
    doubled = [column for column, count in Counter(columns).items() if column and count > 1]
    if doubled:
        raise LabelTableError(f"{name}, line 1: there are two columns {shown(doubled[0])}")
    return delimiter, columns


def _named(header: str, delimiter: str) -> list[str]:
    try:
        cells = next(csv.reader([header], delimiter=delimiter), [])
    except csv.Error:
        return []
    return [cell.strip().lower() for cell in cells]


def _row(line: int, cells: Sequence[str], at: dict[str, int], width: int) -> LabelRow | Fault:
    def cell(column: str) -> str:
        index = at.get(column, width)
        return cells[index] if index < len(cells) else ""

    if any(extra.strip() for extra in cells[width:]):
        return Fault(
            FaultKind.NOT_CSV,
            line,
            f"not CSV: {len(cells)} cells under {width} columns; a path with a comma needs "
            "quotation marks around it",
        )
    if not cell("path"):
        return Fault(FaultKind.NO_PATH, line, "no path")
    category = cell("category").strip()
    if category not in CATEGORIES:
        return Fault(FaultKind.UNKNOWN_CATEGORY, line, unknown_category(category))
    source = cell("source").strip() or LabelSource.IMPORT
    if source not in set(LabelSource):
        return Fault(
            FaultKind.UNKNOWN_SOURCE,
            line,
            f"unknown source '{shown(source)}'; expected {', '.join(LabelSource)}",
        )
    root = path_text(as_bytes(unguarded(cell("root").strip())))
    return LabelRow(line, cell("path"), root, category, LabelSource(source))
