"""``cratesort train``: a new model from trusted labels, measured on vendors it has not seen."""

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from cli.terminal import on_terminal, phases_progress, print_json, say, tell

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from training.evaluation import Evaluation
    from training.retrain import TrainingOutcome


@click.command()
@click.option(
    "--from-csv",
    "table",
    required=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Labelled sounds: category, file_path, vendor and header columns; .csv or .csv.gz.",
)
@click.option("--seed", default=0, show_default=True, help="Of every split and fit.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
def train(table: str, seed: int, as_json: bool) -> None:
    """Train a model, measure it, and store it in the database.

    It is measured by models that never saw the vendors they are tested on; a random split stands
    beside that, for vendors already known. The stored model is fitted on all rows and serves nobody
    until `cratesort models promote` says so. Needs the [training] extra.
    """
    from db import bundles
    from db.engine import create_engine
    from db.migrate import require_current
    from workers.settings import load_settings

    settings = load_settings()
    database = create_engine(settings.database)
    require_current(database)  # before minutes of work, not after

    tell("loading TensorFlow and the table")
    from training.dataset import read_table
    from training.retrain import train_bundle

    sounds = read_table(table)
    version = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    with phases_progress() as progress:
        outcome = train_bundle(sounds, version=version, seed=seed, progress=_Display(progress))
    metrics = dict(outcome.manifest.metrics)
    with database.begin() as connection:
        bundles.store(connection, version=version, bundle=outcome.bundle, metrics=metrics)
    if as_json:
        print_json(
            {
                "version": version,
                "sounds": len(sounds),
                "seconds": round(outcome.seconds, 1),
                "bundle_bytes": len(outcome.bundle),
                **metrics,
            }
        )
        return
    _print(outcome, version, len(sounds))


class _Display:
    """Shows each phase as a bar, or as a line now and then where nobody looks."""

    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._told = 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        if phase not in self._tasks:
            self._tasks[phase] = self._progress.add_task(phase, total=total)
        self._progress.update(self._tasks[phase], completed=done, total=total)
        moment = time.monotonic()
        if not on_terminal() and (done == total or moment - self._told > 10):
            self._told = moment
            tell(f"{phase}: {done} of {total}")
            sys.stderr.flush()


def _print(outcome: "TrainingOutcome", version: str, sounds: int) -> None:
    if outcome.by_vendor is not None:
        say("Vendors kept out: each sound is tested by a model that never saw its vendor")
        _print_evaluation(outcome.by_vendor)
        say()
        _print_confusion(outcome.by_vendor)
        say()
    else:
        say(f"Vendors kept out: not measured, {outcome.by_vendor_skipped}")
        say()
    say("Random split: vendors already known, so these figures say nothing of a new one")
    _print_evaluation(outcome.random_split)
    say()
    say(
        f"Model {version}: {sounds:,} sounds, {len(outcome.bundle) / 1e6:.1f} MB, "
        f"in {outcome.seconds:.0f} s. Stored; to let it serve:"
    )
    say(f"  cratesort models promote {version}")


def _print_evaluation(evaluation: "Evaluation") -> None:
    say(
        f"  accuracy {evaluation.accuracy:.3f}   macro precision "
        f"{evaluation.macro_precision:.3f}   macro F1 {evaluation.macro_f1:.3f}   "
        f"({evaluation.n_sounds:,} sounds)"
    )
    say(f"  {'':<20}{'precision':>10}{'recall':>10}{'F1':>10}{'sounds':>10}")
    for score in evaluation.categories:
        say(
            f"  {score.category:<20}{score.precision:>10.3f}{score.recall:>10.3f}"
            f"{score.f1:>10.3f}{score.support:>10,}"
        )


def _print_confusion(evaluation: "Evaluation") -> None:
    from classifier.labels import CATEGORIES

    letters = "abcdefghijkl"
    say("  Confusion: a row is the truth, a column what was said")
    say(f"{'':<20}" + "".join(f"{letter:>5}" for letter in letters))
    for letter, category, row in zip(letters, CATEGORIES, evaluation.confusion, strict=True):
        say(f"{letter} {category:<18}" + "".join(_cell(count) for count in row))


def _cell(count: Any) -> str:
    # Five columns a cell keep the matrix within 80; no count here has more digits.
    return f"{count:>5}" if count else f"{'.':>5}"
