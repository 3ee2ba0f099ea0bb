"""``cratesort predict``: categories for a table of names and header figures, without any audio."""

import sys
from itertools import islice
from typing import Final

import click

from classifier.categories import CATEGORIES
from cli.console.output import csv_writer
from cli.console.session import opened_database
from cli.models.sound_table import opened_table
from workers.logging_setup import set_up_logging

#: Rows a model call: large enough to be quick, small enough to stream.
_ROWS_AT_ONCE: Final = 1024


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
    channels, frame_count, sample_type; a missing column or an empty cell means unknown. Rows of
    one folder are read beside each other's names: one folder is one text in folder, in pack and in
    the folders of path (and in repo, source_repo, vendor), as far as there are such columns. What
    folders are called counts for nothing. Written to standard output, a row for a row in the same
    order: file_path as it came, category, confidence, top3, and a probability column per category.
    """
    from db.results.queries import top3
    from workers.serving_model import ServingModel

    set_up_logging("WARNING")
    with opened_table(source) as table:
        pack_mates = table.pack_mates()
        with opened_database() as (settings, database):
            classifier = ServingModel(settings.engine).current(database)
        writer = csv_writer(sys.stdout)
        writer.writerow(["file_path", "category", "confidence", "top3", *CATEGORIES])
        rows = table.rows()
        while chunk := list(islice(rows, _ROWS_AT_ONCE)):
            probabilities = classifier.predict(
                [row.name for row in chunk],
                [row.header for row in chunk],
                [pack_mates.get(row.folder) for row in chunk],
            )
            for row, answer in zip(chunk, probabilities.tolist(), strict=True):
                best = top3(answer)
                writer.writerow(
                    [
                        row.path,
                        best[0][0],
                        f"{best[0][1]:.6f}",
                        " ".join(f"{category}:{value:.4f}" for category, value in best),
                        *(f"{value:.6f}" for value in answer),
                    ]
                )
