"""``cratesort study``: repeat the published comparison on any table, by vendor and at random."""

import io
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from cli.console.csv_cells import write_csv
from cli.console.options import (
    group_option,
    json_option,
    labelled_columns_option,
    labelled_table_option,
    report_option,
    seed_option,
)
from cli.console.output import print_json, say, tell
from cli.console.text_tables import labelled, print_table

if TYPE_CHECKING:
    from training.data.dataset import LabelledSounds
    from training.evaluation.experiment import SystemResult
    from training.study.comparison import Study

#: The file in the report's folder with one row for each tested sound of each split.
_PREDICTIONS: Final = "predictions.csv"


@click.command()
@labelled_table_option(required=True)
@labelled_columns_option
@group_option
@report_option(
    required=True, help="Folder for report.html, metrics.json, predictions.csv and the figures."
)
@seed_option
@click.option(
    "--folds",
    default=5,
    show_default=True,
    type=click.IntRange(min=2),
    help="Number of folds of the split by vendor.",
)
@click.option(
    "--reference-batch-size",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Batch size of the reference LSTM. The published one is 1; 32 is ten times as fast.",
)
@json_option
def study(
    table: str,
    columns: dict[str, str],
    group: str | None,
    folder: str,
    seed: int,
    folds: int,
    reference_batch_size: int,
    as_json: bool,
) -> None:
    """Compare five classifiers on a table, and write a report.

    They are naive Bayes, a random forest, the published LSTM, the published stack and cratesort.
    Each is evaluated on vendors held out of training, and on a random split as published. Requires
    the [training] extra.
    """
    from training.extra import require_training_extra

    require_training_extra()
    from cli.console.progress import shown_phases
    from training.data.csv_tables import read_counted
    from training.reports.atomic_write import require_writable, write_whole

    require_writable(folder)
    sounds, counts = read_counted(table, renamed=columns, group=group)
    sounds.require_two_categories()
    tell(counts.grouping)
    tell("loading TensorFlow")
    from training.study.comparison import run_study
    from training.study.report import write_report

    with shown_phases() as phases:
        comparison = run_study(
            sounds,
            counts,
            seed=seed,
            n_folds=folds,
            reference_batch_size=reference_batch_size,
            progress=phases,
        )
    created = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    source = os.path.basename(table)
    write_whole(os.path.join(folder, _PREDICTIONS), _predictions(comparison, sounds))
    files = write_report(folder, comparison, sounds, source=source, created=created)
    if as_json:
        print_json(comparison.as_dict())
        return
    if comparison.by_vendor:
        say("Unseen vendors")
        _print(comparison.by_vendor)
    else:
        say("Unseen vendors: not measured")
        say(labelled("", comparison.by_vendor_skipped or "", 2))
    say()
    say("Known vendors (random split, as published)")
    _print(comparison.at_random)
    say()
    say(f"Ablations: cratesort without a part of its input ({comparison.ablated_split})")
    _print((*comparison.ablations, comparison.headline[-1]))
    say()
    say(f"Predictions: {os.path.join(folder, _PREDICTIONS)}")
    say(f"Report: {os.path.join(folder, files[-1])}")


def _predictions(comparison: "Study", sounds: "LabelledSounds") -> bytes:
    """Return all predictions as CSV; names have the same bytes as in the study's table."""
    from training.study.row_findings import prediction_columns, prediction_rows

    text = io.StringIO()
    splits = {"by_vendor": comparison.by_vendor, "random": comparison.at_random}
    columns = prediction_columns(comparison.at_random)
    write_csv(text, columns, prediction_rows(sounds, splits))
    return text.getvalue().encode("utf-8", "surrogateescape")


def _print(results: "tuple[SystemResult, ...]") -> None:
    print_table(
        [
            (
                result.system.title,
                result.evaluation.macro_precision,
                result.evaluation.macro_recall,
                result.evaluation.macro_f1,
                result.evaluation.accuracy,
                f"{result.fit_seconds:,.1f}",
            )
            for result in results
        ],
        "<>>>>>",
        ("", "macro prec.", "recall", "F1", "accuracy", "fit, s"),
    )
