"""A CSV table of sounds without their audio: names, header figures, folders.

Prediction and training read such tables alike.
"""

import gzip
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import BinaryIO, Final, cast

from classifier.headers.reader import AudioHeader
from classifier.model.header_features import SAMPLE_TYPES
from classifier.tables.strict_csv import (
    BadLine,
    CsvRows,
    Row,
    TableError,
    bounded_lines,
    decoded,
    delimiter_of,
)

_NAME_COLUMNS: Final = ("file_path", "path")


class CellError(ValueError):
    """A cell that cannot be right; the message names its column."""


def folder_of(cells: Mapping[str, str]) -> str:
    """Return the same text for rows of one folder and of no other; "" where it is unknown.

    ``folder``, ``pack`` and the folders of ``path`` tell folders apart, and so do ``vendor``,
    ``repo`` and ``source_repo``. The text serves for comparing only: what a folder is called holds
    the answer.
    """
    folders = [cells.get("folder", ""), cells.get("pack", "")]
    folders.append(cells.get("path", "").rpartition("/")[0])
    if not any(folders):
        return ""
    owners = [cells.get(column, "") for column in ("repo", "source_repo", "vendor")]
    return "\0".join(folders + owners)


def header_of(cells: Mapping[str, str]) -> AudioHeader:
    """Return the header that a row states; absent columns and empty cells are unknown.

    Raises CellError: a cell that is no such number, or no sample type of libsndfile.
    """
    sample_type = cells.get("sample_type", "").strip()
    if sample_type and sample_type not in SAMPLE_TYPES:
        raise CellError(
            f"sample_type {sample_type!r} is not one libsndfile lists "
            "(PCM_16, PCM_24, FLOAT, MPEG_LAYER_III, ...); leave it empty when unknown"
        )
    return AudioHeader(
        file_size_bytes=_whole(_number(cells, "file_size")),
        duration_seconds=_number(cells, "duration"),
        sample_rate_hz=_whole(_number(cells, "sample_rate")),
        channels=_whole(_number(cells, "channels")),
        frame_count=_whole(_number(cells, "frame_count")),
        sample_type=sample_type or None,
    )


def _number(cells: Mapping[str, str], column: str) -> float | None:
    cell = cells.get(column, "").strip()
    if not cell:
        return None
    try:
        # float() would also take 1_000, and digits of other scripts.
        value = float(cell) if cell.isascii() and "_" not in cell else math.nan
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise CellError(f"{column} must be a number of at least 0, got {cell!r}")
    return value


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


class SoundTable(Iterator[tuple[int, dict[str, str]]]):
    """The rows of a table of sounds, once: the first line of each, and its cells by column.

    From `sound_table`. `TableError` is raised at the first row that cannot be read.

    - `name`: for messages.
    - `columns`: of the first row; every row has a cell for each.
    - `name_column`: ``file_path``, else ``path``.
    """

    def __init__(self, lines: Iterator[str], name: str, needed: tuple[str, ...]) -> None:
        self.name = name
        with self._reading():
            first = next(lines, "")
        delimiter = delimiter_of(first, (*_NAME_COLUMNS, *needed))
        self._rows = CsvRows(chain([first], lines), delimiter=delimiter)
        header = self._next_row()
        self.columns = header.cells if header else []
        self._rows.width = len(self.columns)
        doubled = [
            column for column, count in Counter(self.columns).items() if column and count > 1
        ]
        if doubled:
            raise TableError(f"{name}, line 1: there are two columns {doubled[0]}")
        names = [column for column in _NAME_COLUMNS if column in self.columns]
        if not names or not set(needed) <= set(self.columns):
            columns_needed = [*needed, "file_path (or path)"]
            expected = " and ".join(f"a column {column}" for column in columns_needed)
            raise TableError(
                f"{name}, line 1: expected {expected}, "
                f"got {', '.join(self.columns) or 'an empty file'}"
            )
        self.name_column = names[0]

    def __next__(self) -> tuple[int, dict[str, str]]:
        row = self._next_row()
        if row is None:
            raise StopIteration
        return row.line, dict(zip(self.columns, row.cells, strict=True))

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
            raise TableError(f"{self.name}: not a readable CSV table: {error}") from error


@contextmanager
def sound_table(stream: BinaryIO, name: str, needed: tuple[str, ...] = ()) -> Iterator[SoundTable]:
    """Read a table of sounds from where the stream stands, gzipped if its name ends in ``.gz``.

    Raises TableError: the table has no column of names, or none of those needed.
    """
    binary = stream
    if name.endswith(".gz"):
        binary = cast("BinaryIO", gzip.GzipFile(fileobj=stream))
    with decoded(binary) as text:
        yield SoundTable(bounded_lines(text, name), name, needed)
