"""``cratesort predict``: classify a table of names and header values, without audio files."""

import posixpath
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

import click

from classifier.categories import CATEGORIES
from cli.console.csv_cells import csv_writer, spreadsheet_safe
from cli.console.options import sound_columns_option
from cli.console.seekable_input import seekable_input
from cli.console.session import opened_database
from db.scratch_table import scratch_table
from workers.logging_setup import set_up_logging

if TYPE_CHECKING:
    from classifier.headers.reader import AudioHeader
    from classifier.names.pack_mates import PackMates

#: Rows per model call: enough to be quick, few enough to print results while reading.
_ROWS_AT_ONCE: Final = 1024

#: The scratch table of all names, and how much of it is kept in memory. The pack-mates of the last
#: folders are kept, too.
_NAMES_BY_FOLDER: Final = "folder BLOB, hash INT, name BLOB, PRIMARY KEY (folder, hash, name)"
_CACHE_KIB: Final = 32 * 1024
_FOLDERS_REMEMBERED: Final = 256

#: The columns before the probabilities.
_COLUMNS: Final = ("file_path", "category", "confidence", "top3")


@click.command()
@click.option(
    "--from-csv",
    "source",
    required=True,
    metavar="FILE|-",
    help="CSV table, compressed if its name ends in .gz; '-': standard input.",
)
@sound_columns_option
def predict(source: str, columns: dict[str, str]) -> None:
    """Classify a CSV table of file names, without audio files.

    Prints a CSV table with one row for each input row, in the same order: file_path, category,
    confidence, top3, a probability column per category, evidence (what the category is based on)
    and needs_review. Paths that a spreadsheet would run as a formula start with a '.

    \b
    Columns read; only a name is required:
      file_path (or path)            the file's name, with or without folders
      file_size                      in bytes
      duration                       in seconds
      sample_rate                    in Hz
      channels, frame_count
      sample_type                    PCM_16, PCM_24, FLOAT, MPEG_LAYER_III, ...
      folder, pack, vendor,          rows with equal values, and equal folders in
      repo, source_repo              path, belong to one folder

    A missing column or an empty cell means unknown. A numeric sample_type is used only if the other
    header values identify the type. The names in a folder (pack-mates) help to classify each other;
    the names of folders are not used. A file with a MIDI extension is stems-n-midi.
    """  # noqa: D301  (click keeps the lines of a paragraph after \b)
    from classifier.files.extensions import has_midi_extension
    from db.results.queries import top3
    from workers.serving.predictions import ModelInput
    from workers.serving.predictions import predict as predictions_of
    from workers.serving.serving_model import ServingModel

    set_up_logging("WARNING")
    name = "standard input" if source == "-" else source
    with (
        seekable_input(source) as stream,
        scratch_table(_NAMES_BY_FOLDER, cache_kib=_CACHE_KIB) as names,
    ):
        start = stream.tell()
        pack_mates = _pack_mates(_sounds(stream, name, columns), names)
        stream.seek(start)
        with opened_database(or_empty=True) as (settings, database):
            classifier = ServingModel(settings.engine).current(database)
        writer = csv_writer(sys.stdout)
        writer.writerow([*_COLUMNS, *CATEGORIES, "evidence", "needs_review"])
        sounds = _sounds(stream, name, columns)
        while chunk := list(islice(sounds, _ROWS_AT_ONCE)):
            inputs = [
                ModelInput(
                    sound.name,
                    sound.header,
                    pack_mates(sound.folder),
                    is_midi=has_midi_extension(sound.name),
                )
                for sound in chunk
            ]
            for sound, prediction in zip(chunk, predictions_of(classifier, inputs), strict=True):
                best = top3(prediction.probabilities)
                writer.writerow(
                    [
                        spreadsheet_safe(sound.path),
                        best[0][0],
                        f"{best[0][1]:.6f}",
                        " ".join(f"{category}:{value:.4f}" for category, value in best),
                        *(f"{value:.6f}" for value in prediction.probabilities),
                        prediction.evidence,
                        prediction.needs_review,
                    ]
                )


class _Sound(NamedTuple):
    path: str
    header: "AudioHeader"
    folder: str

    @property
    def name(self) -> str:
        return posixpath.basename(self.path)


def _sounds(stream: BinaryIO, table_name: str, columns: dict[str, str]) -> Iterator[_Sound]:
    from classifier.tables.sound_table import CellError, folder_of, header_of, sound_table
    from classifier.tables.strict_csv import TableError

    with sound_table(stream, table_name, renamed=columns) as table:
        for line, cells in table:
            path = cells[table.name_column]
            try:
                if not path:
                    raise CellError(f"{table.name_column} is empty")
                yield _Sound(path, header_of(cells), folder_of(cells))
            except CellError as error:
                raise TableError(f"{table_name}, line {line}: {error}") from error


def _pack_mates(
    sounds: Iterable[_Sound], names: sqlite3.Connection
) -> "Callable[[str], PackMates | None]":
    """Check every row, and return a function from a folder to its pack-mates.

    Because of the check, a table with a fault produces no output. The names of all folders are in
    the scratch table, so a table may have any length.
    """
    from classifier.names.pack_mates import MOST_PACK_MATES, name_hash, pack_mates_of

    names.executemany(
        "INSERT OR IGNORE INTO scratch VALUES (?, ?, ?)",
        (
            (_digest(sound.folder), name_hash(sound.name), _as_bytes(sound.name))
            for sound in sounds
            if sound.folder
        ),
    )

    @lru_cache(maxsize=_FOLDERS_REMEMBERED)
    def of_folder(folder: str) -> "PackMates | None":
        if not folder:
            return None
        rows = names.execute(
            "SELECT name FROM scratch WHERE folder = ? ORDER BY hash, name LIMIT ?",
            (_digest(folder), MOST_PACK_MATES),
        )
        return pack_mates_of(name.decode("utf-8", "surrogatepass") for (name,) in rows)

    return of_folder


def _digest(folder: str) -> bytes:
    return blake2b(_as_bytes(folder), digest_size=16).digest()


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
