"""Measure three systems on two tables: the published stack, a list of keywords, and ours.

Each table is tested by vendor, after learning all permitted rows of both tables. In addition, a
random third of the first table is tested after learning its other rows, which measures known
vendors.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from classifier.bundle.manifest import installed_libraries
from training.baselines.keywords import load_keywords
from training.baselines.published_method import PublishedStack
from training.data.splits import random_split
from training.evaluation.confident_errors import ErrorKind, most_confident_errors
from training.evaluation.experiment import Experiment, System, SystemResult, splits_of
from training.fit.stack_fit import StackFitter
from training.maintainer.corpus_pair import TwoTables, splits_by_vendor
from training.phase_progress import Progress
from training.prior.pretrained import generated_prior

#: Incremented when a change of `Measurement.as_dict` would break its readers.
SCHEMA_VERSION: Final = 1

REFERENCE: Final = "reference"
KEYWORD: Final = "keyword"
OURS: Final = "ours"

#: Names of the systems, in the order in which results list them.
SYSTEMS: Final = (REFERENCE, KEYWORD, OURS)


class Table(StrEnum):
    """Names of the two tables."""

    CORPUS = "corpus"
    NAMES = "names"


@dataclass(frozen=True)
class TableResult:
    """Results of the systems on the same tested sounds, which are from `n_vendors` vendors.

    `mistakes` are those of the last system.
    """

    n_vendors: int
    systems: tuple[SystemResult, ...]
    mistakes: tuple[ErrorKind, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the results as JSON values."""
        return {
            "n_vendors": self.n_vendors,
            "n_fits": self.systems[-1].n_fits,
            "systems": [
                {
                    "system": result.system.name,
                    "title": result.system.title,
                    "evaluation": result.evaluation.as_dict(),
                    "seconds": round(result.fit_seconds + result.predict_seconds, 3),
                }
                for result in self.systems
            ],
            "mistakes": [kind.as_dict() for kind in self.mistakes],
        }


@dataclass(frozen=True)
class Measurement:
    """The results of `measure`.

    `at_random` is None if the first table is not tested, or if no tested system learns.
    """

    seed: int
    reference_batch_size: int
    by_vendor: dict[Table, TableResult]
    at_random: TableResult | None

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "seed": self.seed,
            "reference_batch_size": self.reference_batch_size,
            "libraries": installed_libraries(),
            "by_vendor": {str(table): result.as_dict() for table, result in self.by_vendor.items()},
            "random": self.at_random.as_dict() if self.at_random else None,
        }


def measure(
    pair: TwoTables,
    *,
    tables: Collection[Table],
    systems: Collection[str],
    seed: int,
    n_folds: int,
    reference_batch_size: int,
    progress: Progress,
) -> Measurement:
    """Test the systems on unseen vendors, then on known vendors.

    Only `tables` are tested; both are learned. `systems` are names from `SYSTEMS`. Except for
    times, the same seed gives the same results on one machine. There are at most as many folds as
    vendors. Raises `TrainingError` if a table has fewer than two vendors, or if too few sounds
    remain to learn.
    """
    tested = {Table.CORPUS: pair.corpus, Table.NAMES: pair.tested_names}
    # Reject a table that cannot be tested before the first fit, which takes minutes.
    splits = {table: splits_by_vendor(pair, tested[table], n_folds, seed=seed) for table in tables}
    compared = _systems(systems, seed, reference_batch_size)
    by_vendor = {
        table: _result(
            Experiment(
                tested[table],
                splits[table],
                compared,
                pair.untested_names if table is Table.NAMES else None,
            ),
            progress,
            f"{table} by vendor",
        )
        for table in tables
    }
    # The list of keywords does not learn, so it has no known vendors.
    learning = [system for system in compared if system.name != KEYWORD]
    at_random = None
    if Table.CORPUS in tables and learning:
        split = splits_of(pair.corpus, [random_split(len(pair.corpus), seed=seed)])
        at_random = _result(Experiment(pair.corpus, split, learning), progress, "random split")
    return Measurement(seed, reference_batch_size, by_vendor, at_random)


def _systems(names: Collection[str], seed: int, reference_batch_size: int) -> list[System]:
    systems = []
    if REFERENCE in names:
        stack = PublishedStack(seed=seed, batch_size=reference_batch_size)
        systems.append(System(REFERENCE, "reference stack", stack.fit, stack.n_epochs))
    if KEYWORD in names:
        systems.append(System(KEYWORD, "keyword list", lambda *_: load_keywords()))
    if OURS in names:
        fitter = StackFitter(generated_prior(), seed=seed)
        systems.append(System(OURS, "cratesort", fitter.fit, fitter.n_epochs))
    return systems


def _result(experiment: Experiment, progress: Progress, phase: str) -> TableResult:
    results = experiment.run(progress, phase)
    tested = experiment.sounds.take(experiment.tested)
    mistakes = most_confident_errors(tested, results[-1].probabilities)
    return TableResult(len(set(tested.vendors)), results, mistakes)
