"""``cratesort study``: the published comparison again, on any table, by vendor and at random."""

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from cli.console.options import (
    group_option,
    json_option,
    labelled_columns_option,
    labelled_table_option,
    report_option,
    seed_option,
)
from cli.console.output import print_json, say, tell
from cli.console.text_tables import print_table

if TYPE_CHECKING:
    from training.evaluation.experiment import SystemResult


@click.command()
@labelled_table_option(required=True)
@labelled_columns_option
@group_option
@report_option(required=True, help="Where report.html, metrics.json and the figures go.")
@seed_option
@click.option(
    "--folds",
    default=5,
    show_default=True,
    type=click.IntRange(min=2),
    help="Of the split by vendor.",
)
@click.option(
    "--reference-batch-size",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Rows a step of the reference LSTM. Published: 1; 32 is ten times as fast.",
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
    """Compare five systems on a table, and write a report.

    Naive Bayes, a forest, the published LSTM, the published stack, and cratesort's own: on vendors
    none of them has seen, and on a random split as published. Needs the [training] extra.
    """
    from training.extra import require_training_extra

    require_training_extra()
    from cli.console.progress import shown_phases
    from training.data.csv_tables import read_counted
    from training.reports.atomic_write import require_writable

    require_writable(folder)
    sounds, counts = read_counted(table, renamed=columns, group=group)
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
    moment = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    source = os.path.basename(table)
    files = write_report(folder, comparison, sounds, source=source, created=moment)
    if as_json:
        print_json(comparison.as_dict())
        return
    if comparison.by_vendor:
        say("Vendors never seen")
        _print(comparison.by_vendor)
    else:
        say(f"Vendors never seen: not measured, {comparison.by_vendor_skipped}")
    say()
    say("Vendors already known (random split, as published)")
    _print(comparison.at_random)
    say()
    say(f"The whole report: {os.path.join(folder, files[-1])}")


def _print(results: "tuple[SystemResult, ...]") -> None:
    print_table(
        [
            (
                result.system.title,
                result.evaluation.macro_precision,
                result.evaluation.macro_f1,
                result.evaluation.accuracy,
                f"{result.fit_seconds:,.1f}",
            )
            for result in results
        ],
        "<>>>>",
        ("", "macro precision", "macro F1", "accuracy", "fit, s"),
    )
