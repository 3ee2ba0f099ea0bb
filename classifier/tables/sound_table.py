"""CSV tables of sounds without their audio: names, header values, folders.

Prediction and training use the same reader.
"""

import gzip
import hashlib
import math
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import BinaryIO, Final, cast

from classifier.headers.reader import AudioHeader
from classifier.model.header_features import SAMPLE_TYPES
from classifier.tables.columns import NAME_COLUMNS, NO_NAMES, column_places
from classifier.tables.sample_type_numbers import numbered_sample_type
from classifier.tables.strict_csv import (
    BadLine,
    CsvRows,
    Row,
    TableError,
    bounded_lines,
    decoded,
    delimiter_of,
    shown,
    shown_columns,
)

_NAME: Final = "file_path (or path)"

#: Maximum length of a path on any operating system (Linux: PATH_MAX).
_LONGEST_PATH: Final = 4096

#: Spreadsheets in many languages write 0,5 for 0.5.
_DECIMAL_COMMA: Final = re.compile(r"[0-9]+,[0-9]+")

#: A longer folder key is replaced by a digest: NumPy text arrays are as wide as their longest
#: entry.
_LONGEST_FOLDER: Final = 255

_INTEGER: Final = re.compile(r"[0-9]{1,9}(\.0*)?")  # pandas writes 2.0 in columns with empty cells


class CellError(ValueError):
    """An invalid cell; the message names its column."""


def folder_of(cells: Mapping[str, str]) -> str:
    """Return a key that is equal for rows of the same folder only; "" if the folder is unknown.

    The key is made of ``folder``, ``pack``, the folders of ``path``, ``vendor``, ``repo`` and
    ``source_repo``. It is for comparison only, not a model input: folder names contain the answer.
    """
    folders = [cells.get("folder", ""), cells.get("pack", "")]
    folders.append(cells.get("path", "").rpartition("/")[0])
    if not any(folders):
        return ""
    owners = [cells.get(column, "") for column in ("repo", "source_repo", "vendor")]
    text = "\0".join(folders + owners)
    if len(text) <= _LONGEST_FOLDER:
        return text
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def header_of(cells: Mapping[str, str]) -> AudioHeader:
    """Return the header that a row states; absent columns and empty cells are unknown.

    `numbered_sample_type` resolves an integer in place of a sample type.

    Raises CellError: a cell is not a number of at least 0, or not a sample type of libsndfile.
    """
    header = AudioHeader(
        file_size_bytes=_whole(_number(cells, "file_size")),
        duration_seconds=_number(cells, "duration"),
        sample_rate_hz=_whole(_number(cells, "sample_rate")),
        channels=_whole(_number(cells, "channels")),
        frame_count=_whole(_number(cells, "frame_count")),
        sample_type=None,
    )
    cell = cells.get("sample_type", "").strip()
    if _INTEGER.fullmatch(cell):
        name = cells.get("file_path") or cells.get("path", "")
        number = int(float(cell))
        return header._replace(sample_type=numbered_sample_type(number, name, header))
    if cell and cell.upper() not in SAMPLE_TYPES:
        raise CellError(
            f"unknown sample_type '{shown(cell)}'; expected a subtype of libsndfile (PCM_16, "
            "PCM_24, FLOAT, MPEG_LAYER_III, ...) or an empty cell"
        )
    return header._replace(sample_type=cell.upper() or None)


def _number(cells: Mapping[str, str], column: str) -> float | None:
    cell = cells.get(column, "").strip()
    if not cell:
        return None
    if column == "duration" and _DECIMAL_COMMA.fullmatch(cell):
        cell = cell.replace(",", ".")
    try:
        # float() would also take 1_000, and digits of other scripts.
        value = float(cell) if cell.isascii() and "_" not in cell else math.nan
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise CellError(f"{column} must be a number of at least 0, got '{shown(cell)}'")
    return value


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


class SoundTable(Iterator[tuple[int, dict[str, str]]]):
    """A single-pass iterator over a table of sounds: yields each row's first line and its cells.

    Created by `sound_table`. Raises TableError at the first row that cannot be read.

    - `name`: for messages.
    - `columns`: from the header line, under our names; every row has a cell for each.
    - `name_column`: ``file_path``, else ``path``.
    """

    def __init__(
        self,
        lines: Iterator[str],
        name: str,
        needed: tuple[str, ...],
        renamed: Mapping[str, str],
    ) -> None:
        self.name = name
        with self._reading():
            first = next(lines, "")
        delimiter = delimiter_of(first, (*NAME_COLUMNS, *needed, *renamed.values()))
        self._rows = CsvRows(chain([first], lines), delimiter=delimiter)
        header = self._next_row()
        cells = header.cells if header else []
        self._rows.width = len(cells)
        self._places = column_places(cells, renamed, name)
        self.columns = list(self._places)
        names = [column for column in NAME_COLUMNS if column in self.columns]
        missing = [column for column in needed if column not in self.columns]
        if missing or not names:
            expected = " and ".join(f"a column {column}" for column in [*needed, _NAME])
            raise TableError(
                f"{name}, line 1: expected {expected}, got "
                f"{shown_columns(self.columns)}. If the column has "
                f"another name, add --column {(missing or NAME_COLUMNS)[0]}=NAME"
            )
        self.name_column = names[0]

    def __next__(self) -> tuple[int, dict[str, str]]:
        row = self._next_row()
        if row is None:
            raise StopIteration
        cells = {column: row.cells[place] for column, place in self._places.items()}
        if len(cells[self.name_column]) > _LONGEST_PATH:
            raise TableError(
                f"{self.name}, line {row.line}: {self.name_column} has "
                f"{len(cells[self.name_column]):,} characters; expected at most {_LONGEST_PATH:,}"
            )
        return row.line, cells

    def _next_row(self) -> Row | None:
        with self._reading():
            row = next(self._rows, None)
        if isinstance(row, BadLine):
            raise TableError(f"{self.name}, {row}")
        return row

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (OSError, EOFError, zlib.error) as error:
            raise TableError(f"{self.name} cannot be read as a CSV table: {error}") from error


@contextmanager
def sound_table(
    stream: BinaryIO,
    name: str,
    needed: tuple[str, ...] = (),
    renamed: Mapping[str, str] = NO_NAMES,
) -> Iterator[SoundTable]:
    """Read a table of sounds from a stream, gzipped if `name` ends in ``.gz``.

    - `needed`: columns that the table must have.
    - `renamed`: the table's names for some of our columns.

    Raises TableError: a column of `needed`, or any column of names, is missing.
    """
    binary = stream
    if name.endswith(".gz"):
        binary = cast("BinaryIO", gzip.GzipFile(fileobj=stream))
    with decoded(binary) as text:
        yield SoundTable(bounded_lines(text, name), name, needed, renamed)
