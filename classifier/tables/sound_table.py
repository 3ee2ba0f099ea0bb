"""A CSV table of sounds without their audio: names, header figures, folders.

Prediction and training read such tables alike.
"""

import gzip
import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
)

_NUMBER_COLUMNS: Final = ("file_size", "duration", "sample_rate", "channels", "frame_count")


class CellError(ValueError):
    """A cell that cannot be right; the message names its column."""


class SoundColumns:
    """Which cell of a row means what.

    Parameters
    ----------
    columns : sequence of str
        The cells of the table's first row.
    table : str
        For messages.
    needed : tuple of str
        Columns that must be there, beside one of names.

    Attributes
    ----------
    names : sequence of str
        All columns.
    path : int
        Where the name of the sound stands: in ``file_path``, else in ``path``.

    Raises
    ------
    TableError
        A needed column is missing.
    """

    def __init__(self, columns: Sequence[str], table: str, needed: tuple[str, ...] = ()) -> None:
        self.names = columns
        path = self.first("file_path", "path")
        if path is None or not set(needed) <= set(columns):
            columns_needed = [*needed, "file_path (or path)"]
            expected = " and ".join(f"a column {column}" for column in columns_needed)
            raise TableError(
                f"{table}, line 1: expected {expected}, got {', '.join(columns) or 'an empty file'}"
            )
        self.path = path
        self._numbers = [(column, self.first(column)) for column in _NUMBER_COLUMNS]
        self._sample_type = self.first("sample_type")
        self._path_of_folder = self.first("path")
        self._folders = [columns.index(name) for name in ("folder", "pack") if name in columns]
        self._owners = [
            columns.index(name) for name in ("repo", "source_repo", "vendor") if name in columns
        ]

    def first(self, *columns: str) -> int | None:
        """Return where the first of these columns stands that the table has."""
        return next((self.names.index(name) for name in columns if name in self.names), None)

    def folder(self, cells: Sequence[str]) -> str:
        """Return the same text for rows of one folder and of no other; "" where it is unknown.

        ``folder``, ``pack`` and the folders of ``path`` tell folders apart, and so do ``vendor``,
        ``repo`` and ``source_repo``. The text serves for comparing only: what a folder is called
        holds the answer.
        """
        folders = [cells[position] for position in self._folders]
        if self._path_of_folder is not None:
            folders.append(cells[self._path_of_folder].rpartition("/")[0])
        if not any(folders):
            return ""
        return "\0".join(folders + [cells[position] for position in self._owners])

    def header(self, cells: Sequence[str]) -> AudioHeader:
        """Return the header that a row states; absent columns and empty cells are unknown.

        Raises
        ------
        CellError
            A cell that is no such number, or no sample type of libsndfile.
        """
        size, duration, rate, channels, frames = (
            None if position is None else _number(column, cells[position])
            for column, position in self._numbers
        )
        sample_type = "" if self._sample_type is None else cells[self._sample_type].strip()
        if sample_type and sample_type not in SAMPLE_TYPES:
            raise CellError(
                f"sample_type {sample_type!r} is not one libsndfile lists "
                "(PCM_16, PCM_24, FLOAT, MPEG_LAYER_III, ...); leave it empty when unknown"
            )
        return AudioHeader(
            file_size_bytes=_whole(size),
            duration_seconds=duration,
            sample_rate_hz=_whole(rate),
            channels=_whole(channels),
            frame_count=_whole(frames),
            sample_type=sample_type or None,
        )


def _number(column: str, cell: str) -> float | None:
    cell = cell.strip()
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise CellError(f"{column} must be a number of at least 0, got {cell!r}")
    return value


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


class SoundTable(Iterator[Row]):
    """The rows of a table of sounds, once; from `sound_table`.

    Each row has a cell for each column. `TableError` is raised at the first that cannot be read.
    """

    def __init__(self, rows: CsvRows, name: str, needed: tuple[str, ...]) -> None:
        self._rows = rows
        self._name = name
        header = next(self, Row(1, [])).cells
        self.columns = SoundColumns(header, name, needed)
        rows.width = len(header)

    def __next__(self) -> Row:
        try:
            row = next(self._rows)
        except (OSError, EOFError, zlib.error) as error:
            raise TableError(f"{self._name}: not a readable CSV table: {error}") from error
        if isinstance(row, BadLine):
            raise TableError(f"{self._name}, {row}")
        return row


@contextmanager
def sound_table(stream: BinaryIO, name: str, needed: tuple[str, ...] = ()) -> Iterator[SoundTable]:
    """Read a table of sounds from where the stream stands, gzipped if its name ends in ``.gz``.

    Raises
    ------
    TableError
        The table has no column of names, or none of those needed.
    """
    binary = stream
    if name.endswith(".gz"):
        binary = cast("BinaryIO", gzip.GzipFile(fileobj=stream))
    with decoded(binary) as text:
        yield SoundTable(CsvRows(bounded_lines(text, name)), name, needed)
