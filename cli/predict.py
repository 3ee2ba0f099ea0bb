"""``cratesort predict``: categories for a table of names and header figures, without any audio."""

import csv
import gzip
import io
import math
import posixpath
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final, TextIO

import click

from classifier.errors import CratesortError
from classifier.labels import CATEGORIES
from cli.terminal import csv_writer
from workers.logs import set_up_logging

if TYPE_CHECKING:
    from classifier.headers import AudioHeader

#: Rows a model call: large enough to be quick, small enough to stream.
_ROWS_AT_ONCE: Final = 1024

_NUMBERS: Final = {
    "file_size": "file_size_bytes",
    "duration": "duration_seconds",
    "sample_rate": "sample_rate_hz",
    "channels": "channels",
    "frame_count": "frame_count",
}


class TableError(CratesortError):
    """A table that cannot be read; names the line and what was expected there."""


@click.command()
@click.option(
    "--from-csv",
    "source",
    required=True,
    metavar="FILE|-",
    help="A CSV file, gzipped when it ends in .gz; '-': standard input.",
)
def predict(source: str) -> None:
    """Classify the rows of a table: names, and whatever header columns it has.

    Columns read: file_path (or path), file_size (bytes), duration (seconds), sample_rate (Hz),
    channels, frame_count, sample_type; a missing column or an empty cell means unknown. Written to
    standard output, a row for a row in the same order: file_path as it came, category, confidence,
    top3, and a probability column per category.
    """
    from db.engine import create_engine
    from db.migrate import require_current
    from db.results import top3
    from workers.predictor import Predictor
    from workers.settings import load_settings

    settings = load_settings()
    set_up_logging("WARNING")
    with _opened(source) as stream:
        rows = _rows(stream, source)
        database = create_engine(settings.database)
        require_current(database)
        classifier = Predictor(settings.engine).current(database)
        writer = csv_writer(sys.stdout)
        writer.writerow(["file_path", "category", "confidence", "top3", *CATEGORIES])
        while chunk := list(islice(rows, _ROWS_AT_ONCE)):
            names = [posixpath.basename(path) for path, _ in chunk]
            probabilities = classifier.predict(names, [header for _, header in chunk])
            for (path, _), row in zip(chunk, probabilities.tolist(), strict=True):
                best = top3(row)
                writer.writerow(
                    [
                        path,
                        best[0][0],
                        f"{best[0][1]:.6f}",
                        " ".join(f"{category}:{value:.4f}" for category, value in best),
                        *(f"{value:.6f}" for value in row),
                    ]
                )


@contextmanager
def _opened(source: str) -> Iterator[TextIO]:
    if source == "-":
        yield io.TextIOWrapper(
            sys.stdin.buffer, encoding="utf-8-sig", errors="surrogateescape", newline=""
        )
        return
    opener = gzip.open if source.endswith(".gz") else open
    with opener(source, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        yield file


def _rows(stream: Iterable[str], source: str) -> "Iterator[tuple[str, AudioHeader]]":
    reader = csv.DictReader(stream)
    try:
        columns = reader.fieldnames or ()
    except (csv.Error, OSError, EOFError) as error:
        raise TableError(f"{source}: not a CSV table: {error}") from error
    name_column = next((name for name in ("path", "file_path") if name in columns), None)
    if name_column is None:
        raise TableError(
            f"{source}: expected a column file_path (or path) in the first line, got "
            f"{', '.join(columns) or 'an empty file'}"
        )

    def rows() -> "Iterator[tuple[str, AudioHeader]]":
        while True:
            try:
                row = next(reader, None)
            except (csv.Error, OSError, EOFError) as error:
                raise TableError(f"{source}, line {reader.line_num}: {error}") from error
            if row is None:
                return
            path = row.get(name_column)
            if not path:
                raise TableError(f"{source}, line {reader.line_num}: {name_column} is empty")
            yield path, _header(row, f"{source}, line {reader.line_num}")

    return rows()


def _header(row: dict[str, str | None], where: str) -> "AudioHeader":
    from classifier.features import SAMPLE_TYPES
    from classifier.headers import AudioHeader

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
