"""Accuracy by vendor on two tables: ``python -m training.maintainer.accuracy CORPUS NAMES``."""

import json
import sys
import time
from typing import Final

import click

from classifier.errors import CratesortError
from training.maintainer.accuracy_text import as_text
from training.maintainer.corpus_pair import read_two_tables
from training.maintainer.measurement import SYSTEMS, Table, measure

#: Seconds between two lines of progress if standard error is not a terminal.
_SECONDS_BETWEEN_LINES: Final = 10.0


def _system_names(_context: click.Context, _option: click.Parameter, text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in SYSTEMS:
            raise click.BadParameter(f"unknown system {name!r}; expected {', '.join(SYSTEMS)}")
    return names


@click.command()
@click.argument("corpus")
@click.argument("names")
@click.option("--seed", default=0, show_default=True, help="Seed of splits and fits.")
@click.option("--folds", default=5, show_default=True, type=click.IntRange(min=2))
@click.option(
    "--systems",
    default=",".join(SYSTEMS),
    show_default=True,
    callback=_system_names,
    metavar="LIST",
    help="Systems to measure; the first takes longest.",
)
@click.option(
    "--table", type=click.Choice([*map(str, Table), "both"]), default="both", show_default=True
)
@click.option(
    "--reference-batch-size",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Batch size of the reference LSTM. Published: 1.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--mistakes/--no-mistakes",
    default=True,
    help="Show the most confident errors of the last system.",
)
def main(
    corpus: str,
    names: str,
    seed: int,
    folds: int,
    systems: list[str],
    table: str,
    reference_batch_size: int,
    as_json: bool,
    mistakes: bool,
) -> None:
    """Measure the published stack, a list of keywords, and cratesort by vendor.

    For maintainers, before and after a change of the model. CORPUS is a CSV file of labelled names
    and headers, NAMES one of labelled names without headers.
    """
    try:
        measured = measure(
            read_two_tables(corpus, names),
            tables=tuple(Table) if table == "both" else (Table(table),),
            systems=systems,
            seed=seed,
            n_folds=folds,
            reference_batch_size=reference_batch_size,
            progress=_ProgressLine(),
        )
    except CratesortError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    click.echo(
        json.dumps(measured.as_dict()) if as_json else as_text(measured, with_mistakes=mistakes)
    )


class _ProgressLine:
    """Writes progress to standard error: one updated line on a terminal, else a line at times."""

    def __init__(self) -> None:
        self._written = 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        line = f"{phase}: {done} of {total}"
        if sys.stderr.isatty():
            click.echo(f"\r{line}" + "\n" * (done == total), err=True, nl=False)
        elif done == total or time.monotonic() - self._written > _SECONDS_BETWEEN_LINES:
            self._written = time.monotonic()
            click.echo(line, err=True)


if __name__ == "__main__":
    main()
