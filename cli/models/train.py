"""``cratesort train``: train a model from trusted labels and evaluate it on held-out sounds."""

import os
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import click

from classifier.categories import CATEGORIES
from cli.console.options import (
    group_option,
    json_option,
    labelled_columns_option,
    labelled_table_option,
    report_option,
    seed_option,
)
from cli.console.output import counted, print_json, say, tell
from cli.console.session import opened_database
from cli.console.text_tables import labelled, print_table

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from training.data.csv_tables import TableCounts
    from training.data.dataset import LabelledSounds
    from training.runs.run import FinishedRun
    from workers.settings import Settings

#: The figures printed for champion and challenger.
_COMPARED: Final = ("macro_precision", "macro_f1", "accuracy", "n_sounds")


@click.command()
@labelled_table_option(required=False)
@labelled_columns_option
@group_option
@report_option(required=False, help="Also write the run's report.html to DIR.")
@seed_option
@json_option
def train(
    table: str | None,
    columns: dict[str, str],
    group: str | None,
    folder: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Train a model on the labels, and put it in use if it is better.

    Runs the scheduled retraining now. The new model and the one in use classify the same held-out
    sounds, which no model is trained on. The new one replaces it only if it is better overall and
    not clearly worse in any category. Add labels with `cratesort labels import`.

    With --from-csv, trains on all rows of a table instead. The model is evaluated on vendors held
    out of training, compared with the model in use, and stored; put it in use with
    `cratesort models promote`.

    Requires the [training] extra.
    """
    from training.extra import require_training_extra

    with opened_database() as (settings, database):
        require_training_extra()
        read = None
        if table is not None:
            from training.data.csv_tables import read_counted

            read = read_counted(table, renamed=columns, group=group)
            read[0].require_two_categories()
            tell(read[1].grouping)
            tell("loading TensorFlow")
            # Before the run begins: Ctrl-C while a library loads ends the process at once.
            import_module("classifier.model.name_lstm")
        finished = _trained(read, folder, seed, settings, database)
    if as_json:
        print_json(_as_dict(finished))
    elif table is not None:
        _print_table_run(finished)
    else:
        _print_retraining(finished)
    if folder is not None:
        _write_report(folder, finished)


def _trained(
    table: "tuple[LabelledSounds, TableCounts] | None",
    folder: str | None,
    seed: int,
    settings: "Settings",
    database: "Engine",
) -> "FinishedRun":
    from cli.console.progress import shown_phases
    from db.states import RunTrigger
    from training.reports.atomic_write import require_writable
    from training.runs.from_labels import retrain_labels
    from training.runs.from_table import train_from_table
    from training.runs.run import perform

    if folder is not None:
        require_writable(folder)
    with shown_phases() as phases:
        return perform(
            database,
            partial(retrain_labels, announce=lambda line: tell(labelled("", line, 0)))
            if table is None
            else partial(train_from_table, *table),
            trigger=RunTrigger.HAND,
            slot=None,
            seed=seed,
            lease_seconds=settings.training_lease_seconds,
            time_limit_seconds=settings.training_time_limit_seconds,
            progress=phases,
        )


def _as_dict(finished: "FinishedRun") -> dict[str, Any]:
    run, result = finished.run, finished.result
    seconds = (run.finished_at - run.started_at).total_seconds() if run.finished_at else None
    return {
        "run": run.id,
        "version": result.version,
        "verdict": run.verdict,
        "reason": run.reason,
        "seconds": seconds,
        "bundle_bytes": len(result.bundle or b""),
        **result.sizes,
        **result.metrics,
    }


def _print_retraining(finished: "FinishedRun") -> None:
    from db.states import RunVerdict
    from training.runs.from_labels import VERDICTS

    run, result = finished.run, finished.result
    sizes, metrics = result.sizes, result.metrics
    say(
        f"{counted(sizes['labelled'], 'labelled sound')}: {sizes['learned']:,} for training, "
        f"{sizes['held_out']:,} held out"
    )
    say(
        f"not used: {counted(sizes['copies'], 'copy', 'copies')} (same name and header), "
        f"{sizes['contradictory']:,} contradicting, {sizes['surplus']:,} above the limit"
    )
    say()
    _print_compared(metrics, result.version)
    say(f"Model {result.version} is {VERDICTS[RunVerdict(run.verdict or '')]}")
    say(labelled("", run.reason or "", 2))
    if run.verdict != RunVerdict.PROMOTED:
        say("  to use the new model anyway:")
        say(f"  cratesort models promote {result.version} --yes")


def _print_compared(metrics: Mapping[str, Any], version: str) -> None:
    """Print the figures of champion and challenger on the same sounds, if there are any."""
    if metrics["champion"] is None:
        return
    versions = {"champion": metrics["champion_version"], "challenger": version}
    print_table(
        [
            (role, version, *(metrics[role][figure] for figure in _COMPARED))
            for role, version in versions.items()
        ],
        "<<>>>>",
        ("", "", "macro precision", "macro F1", "accuracy", "sounds"),
    )
    say()


def _print_table_run(finished: "FinishedRun") -> None:
    result, metrics = finished.result, finished.result.metrics
    if metrics["by_vendor"] is not None:
        say("Unseen vendors: each sound is predicted by a model not trained on its vendor")
        print_evaluation(metrics["by_vendor"])
        say()
        print_confusion(metrics["by_vendor"])
        say()
    else:
        say("Unseen vendors: not measured")
        say(labelled("", metrics["by_vendor_skipped"], 2))
        say()
    say("Known vendors (random split): these figures do not hold for a new vendor")
    print_evaluation(metrics["random_split"])
    say()
    say(
        f"Compared with the current model {metrics['champion_version']}, on vendors that it was "
        "not trained on"
    )
    say(labelled("", metrics["gate"], 2))
    _print_compared(metrics, result.version)
    say(
        f"Model {result.version}: {counted(result.sizes['sounds'], 'sound')}, "
        f"{len(result.bundle or b'') / 1e6:.1f} MB, stored. To use it:"
    )
    say(f"  cratesort models promote {result.version}{'' if metrics['passed_gate'] else ' --yes'}")


def print_evaluation(evaluation: Mapping[str, Any]) -> None:
    """Print the figures of an evaluation and of each category, from `Evaluation.as_dict`."""
    say(
        f"  accuracy {evaluation['accuracy']:.3f}   macro precision "
        f"{evaluation['macro_precision']:.3f}   macro F1 {evaluation['macro_f1']:.3f}   "
        f"({counted(evaluation['n_sounds'], 'sound')})"
    )
    figures = ("precision", "recall", "f1")
    rows = [
        (score["category"], *map(score.get, figures), score["support"])
        for score in evaluation["categories"]
    ]
    # Manifests of earlier versions contain fewer means.
    means = [
        (f"{mean} mean", *(evaluation.get(f"{mean}_{figure}") for figure in figures), None)
        for mean in ("macro", "weighted")
    ]
    print_table([*rows, *means], "<>>>>", ("", "precision", "recall", "F1", "sounds"))


def print_confusion(evaluation: Mapping[str, Any]) -> None:
    """Print the confusion matrix; with up to 9,999 sounds in a cell it fits into 80 columns."""
    letters = "abcdefghijkl"
    rows = zip(letters, CATEGORIES, evaluation["confusion"], strict=True)
    say("  Confusion matrix: a row is the true category, a column the predicted one")
    print_table(
        [(f"{letter} {category}", *(n or "." for n in row)) for letter, category, row in rows],
        "<" + ">" * len(letters),
        ("", *letters),
        indent=0,
        gap=" ",
    )


def _write_report(folder: str, finished: "FinishedRun") -> None:
    from training.reports.atomic_write import write_whole

    path = os.path.join(folder, "report.html")
    write_whole(path, (finished.result.report_html or "").encode("utf-8", "backslashreplace"))
    tell(f"report: {path}")
