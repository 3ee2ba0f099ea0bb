"""A table of sounds without audio: names, header figures, and which rows were of one folder.

Read in two passes, for a row's answer rests on the names of its whole folder: the first collects
those and finds every bad cell, so that nothing is written for a table that cannot be read to its
end. What stands for a folder is bounded, so a table may have any length.
"""

import csv
import gzip
import io
import math
import posixpath
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, BinaryIO, Final, NamedTuple, cast

from classifier.errors import CratesortError

if TYPE_CHECKING:
    from classifier.headers.reader import AudioHeader
    from classifier.names.pack_mates import PackMates

_NUMBERS: Final = {
    "file_size": "file_size_bytes",
    "duration": "duration_seconds",
    "sample_rate": "sample_rate_hz",
    "channels": "channels",
    "frame_count": "frame_count",
}

#: Of standard input, what is kept in memory before it goes to a file that has no name.
_MOST_IN_MEMORY_BYTES: Final = 8 * 1024**2

_READ_ERRORS: Final = (csv.Error, OSError, EOFError)


class TableError(CratesortError):
    """A table that cannot be read; names the line and what was expected there."""


class TableRow(NamedTuple):
    """One sound of a table.

    Attributes
    ----------
    path : str
        As its cell has it.
    folder : str
        The same text for rows of one folder and nothing else; empty when the row does not say.
    """

    path: str
    header: "AudioHeader"
    folder: str

    @property
    def name(self) -> str:
        """The base name: what a model reads."""
        return posixpath.basename(self.path)


class SoundTable:
    """A CSV table that can be read again and again; from `opened_table`.

    Parameters
    ----------
    stream : binary file
        At its beginning, and seekable.
    source : str
        For messages.
    """

    def __init__(self, stream: BinaryIO, source: str, *, gzipped: bool) -> None:
        self._stream = stream
        self._source = source
        self._gzipped = gzipped

    def pack_mates(self) -> dict[str, "PackMates"]:
        """Return the pack-mates of each folder.

        They do not depend on the order of the rows.

        Raises
        ------
        TableError
            Any row cannot be read.
        """
        from classifier.names.pack_mates import PackMatesBuilder

        builders: dict[str, PackMatesBuilder] = {}
        for row in self.rows():
            if row.folder:
                builders.setdefault(row.folder, PackMatesBuilder()).add(row.name)
        return {folder: builder.build() for folder, builder in builders.items()}

    def rows(self) -> Iterator[TableRow]:
        """Yield the rows from the first on, in their order.

        Raises
        ------
        TableError
            With the line it stopped at.
        """
        self._stream.seek(0)
        binary: IO[bytes] = self._stream
        if self._gzipped:
            binary = cast("IO[bytes]", gzip.GzipFile(fileobj=self._stream))
        text = io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")
        try:
            yield from self._parsed(csv.DictReader(text))
        finally:
            text.detach()  # closing it would close the stream

    def _parsed(self, reader: "csv.DictReader[str]") -> Iterator[TableRow]:
        try:
            columns = reader.fieldnames or ()
        except _READ_ERRORS as error:
            raise TableError(f"{self._source}: not a CSV table: {error}") from error
        name_column = next((name for name in ("path", "file_path") if name in columns), None)
        if name_column is None:
            raise TableError(
                f"{self._source}: expected a column file_path (or path) in the first line, got "
                f"{', '.join(columns) or 'an empty file'}"
            )
        while True:
            try:
                row = next(reader, None)
            except _READ_ERRORS as error:
                raise TableError(f"{self._source}, line {reader.line_num}: {error}") from error
            if row is None:
                return
            where = f"{self._source}, line {reader.line_num}"
            path = row.get(name_column)
            if not path:
                raise TableError(f"{where}: {name_column} is empty")
            yield TableRow(path, _header(row, where), _folder(row))


@contextmanager
def opened_table(source: str) -> Iterator[SoundTable]:
    """Open a table.

    Parameters
    ----------
    source : str
        A file, gzipped when its name ends in ``.gz``; ``-`` for standard input.
    """
    if source == "-":
        with _spooled(sys.stdin.buffer) as stream:
            yield SoundTable(stream, source, gzipped=False)
        return
    gzipped = source.endswith(".gz")
    with open(source, "rb") as file:
        if file.seekable():
            yield SoundTable(file, source, gzipped=gzipped)
            return
        with _spooled(file) as stream:
            yield SoundTable(stream, source, gzipped=gzipped)


@contextmanager
def _spooled(pipe: BinaryIO) -> Iterator[BinaryIO]:
    """Keep what comes through a pipe, which can be read only once."""
    with tempfile.SpooledTemporaryFile(max_size=_MOST_IN_MEMORY_BYTES) as spool:
        shutil.copyfileobj(pipe, spool)
        yield cast("BinaryIO", spool)


def _folder(row: Mapping[str, str | None]) -> str:
    # As `training.data.csv_tables.folders_of`, whose module needs pandas; a test holds the two
    # together.
    telling = [row.get(column) or "" for column in ("folder", "pack")]
    telling.append((row.get("path") or "").rpartition("/")[0])
    if not any(telling):
        return ""
    # Two vendors' or repositories' folders of one name are two.
    whose = [row.get(column) or "" for column in ("repo", "source_repo", "vendor")]
    return "\0".join([*telling, *whose])


def _header(row: Mapping[str, str | None], where: str) -> "AudioHeader":
    from classifier.headers.reader import AudioHeader
    from classifier.model.header_features import SAMPLE_TYPES

    numbers: dict[str, float | None] = {}
    for column, field in _NUMBERS.items():
        cell = (row.get(column) or "").strip()
        try:
            value = float(cell) if cell else None
        except ValueError:
            value = math.inf
        if value is not None and (not math.isfinite(value) or value < 0):
            raise TableError(f"{where}: {column} must be a number of at least 0, got {cell!r}")
        numbers[field] = value
    sample_type = (row.get("sample_type") or "").strip() or None
    if sample_type is not None and sample_type not in SAMPLE_TYPES:
        raise TableError(
            f"{where}: sample_type {sample_type!r} is not one libsndfile lists "
            "(PCM_16, PCM_24, FLOAT, MPEG_LAYER_III, ...); leave it empty when unknown"
        )

    def whole(field: str) -> int | None:
        value = numbers[field]
        return None if value is None else int(value)

    return AudioHeader(
        file_size_bytes=whole("file_size_bytes"),
        duration_seconds=numbers["duration_seconds"],
        sample_rate_hz=whole("sample_rate_hz"),
        channels=whole("channels"),
        frame_count=whole("frame_count"),
        sample_type=sample_type,
    )
