"""``cratesort predict``: categories for a table of names and header figures, without any audio."""

import posixpath
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

import click

from classifier.categories import CATEGORIES
from cli.console.csv_cells import csv_writer
from cli.console.options import sound_columns_option
from cli.console.seekable_input import seekable_input
from cli.console.session import opened_database
from workers.logging_setup import set_up_logging

if TYPE_CHECKING:
    from classifier.headers.reader import AudioHeader
    from classifier.names.pack_mates import PackMates

#: Rows a model call: large enough to be quick, small enough to stream.
_ROWS_AT_ONCE: Final = 1024

#: Before the probabilities.
_COLUMNS: Final = ("file_path", "category", "confidence", "top3")


@click.command()
@click.option(
    "--from-csv",
    "source",
    required=True,
    metavar="FILE|-",
    help="A CSV file, gzipped when it ends in .gz; '-': standard input.",
)
@sound_columns_option
def predict(source: str, columns: dict[str, str]) -> None:
    """Classify the rows of a table: names, and whatever header columns it has.

    Columns read: file_path (or path), file_size (bytes), duration (seconds), sample_rate (Hz),
    channels, frame_count, sample_type; a missing column or an empty cell means unknown. A number
    in place of a sample type counts for what the row's sizes tell, or for nothing. Rows of
    one folder are read beside each other's names: one folder is one text in folder, in pack and in
    the folders of path (and in repo, source_repo, vendor), as far as there are such columns. What
    folders are called counts for nothing. A MIDI file, by its extension, is stems-n-midi. Written
    to standard output, a row for a row in the same order: file_path as it came, category,
    confidence, top3, a probability column per category, evidence (what the category rests on),
    needs_review.
    """
    from classifier.files.extensions import is_named_like_midi
    from db.results.queries import top3
    from workers.serving.predictions import ModelInput
    from workers.serving.predictions import predict as predictions_of
    from workers.serving.serving_model import ServingModel

    set_up_logging("WARNING")
    name = "standard input" if source == "-" else source
    with seekable_input(source) as stream:
        start = stream.tell()
        pack_mates = _pack_mates(_sounds(stream, name, columns))
        stream.seek(start)
        with opened_database() as (settings, database):
            classifier = ServingModel(settings.engine).current(database)
        writer = csv_writer(sys.stdout)
        writer.writerow([*_COLUMNS, *CATEGORIES, "evidence", "needs_review"])
        sounds = _sounds(stream, name, columns)
        while chunk := list(islice(sounds, _ROWS_AT_ONCE)):
            inputs = [
                ModelInput(
                    sound.name,
                    sound.header,
                    pack_mates.get(sound.folder),
                    is_midi=is_named_like_midi(sound.name),
                )
                for sound in chunk
            ]
            for sound, prediction in zip(chunk, predictions_of(classifier, inputs), strict=True):
                best = top3(prediction.probabilities)
                writer.writerow(
                    [
                        sound.path,
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


def _pack_mates(sounds: Iterable[_Sound]) -> "dict[str, PackMates]":
    """Return the pack-mates of each folder, after checking every row.

    Nothing is written for a table that cannot be read to its end. What is kept of a folder is
    bounded, so a table may have any length.
    """
    from classifier.names.pack_mates import PackMatesBuilder

    builders: dict[str, PackMatesBuilder] = {}
    for sound in sounds:
        if sound.folder:
            builders.setdefault(sound.folder, PackMatesBuilder()).add(sound.name)
    return {folder: builder.build() for folder, builder in builders.items()}
