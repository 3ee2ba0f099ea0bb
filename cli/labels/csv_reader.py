"""Read a CSV table of labels: path, category or label, and optionally source and root.

Tables from spreadsheets may have semicolons or tabs, blank rows, and further columns. A row that
cannot be used becomes a `Fault` with its line. In a table that `cratesort results` wrote, only the
column ``label`` is read, which a user fills in: a model's categories are never used as labels.
"""

import difflib
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import BinaryIO, Final, NamedTuple

from classifier.categories import CATEGORIES, category_named
from classifier.files.paths import path_text
from classifier.tables.columns import NO_NAMES, column_places
from classifier.tables.strict_csv import (
    BadLine,
    CsvRows,
    TableError,
    bounded_lines,
    cell_bytes,
    decoded,
    delimiter_of,
    header_cells,
    shown,
)
from cli.console.csv_cells import unguarded
from db.states import LABEL_SOURCES, LabelSource

#: Columns that only `cratesort results` and `predict` write: the category is then the model's.
_COLUMNS_OF_RESULTS: Final = ("confidence", "top3", "model_version", "filed_as", "evidence")

_NEEDED: Final[tuple[str, ...]] = ("path", "category")
_READ: Final[tuple[str, ...]] = (*_NEEDED, "source", "root")

_LONGEST_COMPARED: Final = 200


class FaultKind(StrEnum):
    """Why a row cannot be used."""

    NOT_CSV = "not CSV"
    NO_PATH = "no path"
    UNKNOWN_CATEGORY = "unknown category"
    UNKNOWN_SOURCE = "unknown source"
    UNKNOWN_PATH = "unknown path"
    NOT_UTF8 = "not UTF-8"
    AMBIGUOUS_PATH = "ambiguous path"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


class Fault(NamedTuple):
    """A row that cannot be used: its first line number, and the reason as one printable line."""

    kind: FaultKind
    line: int
    reason: str

    def __str__(self) -> str:
        """Return the line's number and the reason."""
        return f"line {self.line}: {self.reason}"


class LabelRow(NamedTuple):
    """A row whose category and source are known.

    - `path`: the unchanged cell; bytes that are not UTF-8 as surrogate escapes.
    - `root`: empty when not given.
    - `source`: None for a row of results without one (see `db.results.labels.NewLabel`).
    """

    line: int
    path: str
    root: str
    category: str
    source: LabelSource | None


class Unlabelled(NamedTuple):
    """A row of a table of results with an empty label."""

    line: int


@lru_cache(maxsize=1024)  # a wrong table repeats a few unknown categories
def unknown_category(category: str) -> str:
    """Return the error message for a category that is none of the twelve."""
    if not category:
        return f"no category; expected one of {', '.join(CATEGORIES)}"
    folded = "-".join(category[:_LONGEST_COMPARED].lower().replace("_", " ").split())
    close = difflib.get_close_matches(folded, CATEGORIES, 2)
    hint = f"did you mean {' or '.join(close)}?" if close else f"expected {', '.join(CATEGORIES)}"
    return f"unknown category '{shown(category)}'; {hint}"


def read_label_table(
    stream: BinaryIO, name: str, renamed: Mapping[str, str] = NO_NAMES
) -> Iterator[LabelRow | Unlabelled | Fault]:
    """Yield the rows of a table of labels in order, one at a time.

    - `name`: the file's name, for messages.
    - `renamed`: the table's names for some of our columns.

    Raises TableError: a column is missing, or the categories are a model's predictions.
    """
    with decoded(stream) as text:
        lines = bounded_lines(text, name)
        header = next(lines, "")
        delimiter = delimiter_of(header, (*_NEEDED, *renamed.values()))
        cells = header_cells(header, delimiter)
        columns = column_places(cells, renamed, name)
        is_prediction = renamed.get("category") in _COLUMNS_OF_RESULTS
        is_results = "label" in columns or (
            not is_prediction
            and "category" in renamed
            and any(column in columns for column in _COLUMNS_OF_RESULTS)
        )
        if "label" in columns:
            columns["category"] = columns["label"]
        _require_columns(columns, header, name, is_results=is_results)
        positions = {column: columns[column] for column in _READ if column in columns}
        for row in CsvRows(lines, delimiter=delimiter, first_line=2, width=len(cells)):
            if isinstance(row, BadLine):
                yield Fault(FaultKind.NOT_CSV, row.line, row.reason)
            elif any(cell.strip() for cell in row.cells):
                values = {column: row.cells[index] for column, index in positions.items()}
                if is_results and not values["category"].strip():
                    yield Unlabelled(row.line)
                else:
                    default = None if is_results else LabelSource.IMPORT
                    yield _row(row.line, values, default)


def _require_columns(columns: Collection[str], header: str, name: str, *, is_results: bool) -> None:
    results_columns = [column for column in _COLUMNS_OF_RESULTS if column in columns]
    if results_columns and "category" in columns and not is_results:
        raise TableError(
            f"{name} looks like the output of `cratesort results` or `predict` (it has a column "
            f"{results_columns[0]}): its column category contains the model's predictions, which "
            "are never imported as labels. Write the correct categories into a column label; rows "
            "without one are skipped."
        )
    missing = [column for column in _NEEDED if column not in columns]
    if missing:
        raise TableError(
            f"{name}, line 1: expected the columns path,category and optionally source, but "
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing in: "
            f"{shown(header.strip()) or 'an empty file'}"
        )


def _row(line: int, cells: dict[str, str], default: LabelSource | None) -> LabelRow | Fault:
    path, spelled = cells["path"], cells["category"].strip()
    source = cells.get("source", "").strip()
    if not path:
        return Fault(FaultKind.NO_PATH, line, "no path")
    category = category_named(spelled)
    if category is None:
        return Fault(FaultKind.UNKNOWN_CATEGORY, line, unknown_category(spelled))
    if source and source not in LABEL_SOURCES:
        expected = ", ".join(LABEL_SOURCES)
        reason = f"unknown source '{shown(source)}'; expected {expected}"
        return Fault(FaultKind.UNKNOWN_SOURCE, line, reason)
    root = path_text(cell_bytes(unguarded(cells.get("root", "").strip())))
    return LabelRow(line, path, root, category, LabelSource(source) if source else default)
