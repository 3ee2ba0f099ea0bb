"""Small fits: the real training code with little to learn beside a test's own sounds.

A fit of full size takes ten seconds, nearly all of them for the generated rows beside the real ones
and for the trees. Tests of what a fit does with its sounds need neither.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support import labelled_tables
from tests.support.command_line import CliResult, run_in_process

if TYPE_CHECKING:
    from training.data.dataset import LabelledSounds
    from training.fit.stack_fit import FittedModels
    from training.prior.pretrained import Prior

#: Generated sounds of each category beside the real rows of an LSTM's fit, and of a forest's.
REPLAYED_SOUNDS = 2
STACKED_SOUNDS = 10

#: Trees of a forest, how many of them a retraining keeps, and those of the published method.
TREES = 16
KEPT_TREES = 12
REFERENCE_TREES = 20

#: Folds of the measurement, and within a fit.
FOLDS = 2

#: Rows a step of the published method's LSTM. Each number is compiled once, which takes seconds, so
#: all tests have this one.
REFERENCE_BATCH_SIZE = 8


@contextmanager
def fits_made_small() -> Iterator[None]:
    """Make every fit of this process small while the block lasts."""
    from classifier.model import forest
    from training.baselines import published_method
    from training.fit import stack_fit
    from training.maintainer import measurement
    from training.prior import pretrained
    from training.runs import from_labels, from_table
    from training.study import comparison

    generated, starter = _small_priors()
    with pytest.MonkeyPatch.context() as patch:
        for module in (comparison, measurement, from_table):
            patch.setattr(module, "generated_prior", lambda: generated)
        patch.setattr(from_labels, "starter_prior", lambda: starter)
        patch.setattr(forest, "N_TREES", TREES)
        patch.setattr(pretrained, "_KEPT_OF_FEW", KEPT_TREES)
        patch.setattr(published_method, "FOREST_TREES", REFERENCE_TREES)
        patch.setattr(stack_fit, "N_INNER_FOLDS", FOLDS)
        patch.setattr(from_table, "N_OUTER_FOLDS", FOLDS)
        yield


@cache
def _small_priors() -> "tuple[Prior, Prior]":
    """Return what the generated names and the starter taught, with few generated rows."""
    from training.prior import pretrained

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrained, "REPLAYED_SOUNDS", REPLAYED_SOUNDS)
        patch.setattr(pretrained, "STACKED_SOUNDS", STACKED_SOUNDS)
        # Past the caches, which keep the priors of full size.
        patch.setattr(pretrained, "_generated_rows", cache(pretrained._generated_rows.__wrapped__))
        return pretrained.generated_prior.__wrapped__(), pretrained.starter_prior.__wrapped__()


def prior_after(models: "FittedModels", prior: "Prior") -> "Prior":
    """Return the prior of a fit that goes on from these models, as a retraining does."""
    return replace(
        prior,
        words=models.vocabulary.words,
        start=models.learned.state(),
        scaler=models.scaler,
        forest=models.forest,
        calibration=models.calibration,
        review_below=models.review_below,
    )


def accuracy_and_f1(models: "FittedModels", sounds: "LabelledSounds") -> np.ndarray:
    """Return the models' accuracy and macro F1 on these sounds."""
    from training.evaluation.metrics import evaluate

    evaluation = evaluate(sounds.category_indices, models.probabilities(sounds))
    return np.array([evaluation.accuracy, evaluation.macro_f1])


@pytest.fixture(scope="session")
def small_prior() -> "Prior":
    """What the generated names taught, for small fits. For reading only."""
    return _small_priors()[0]


@pytest.fixture
def small_fits() -> Iterator[None]:
    """Make a test's own fits small."""
    with fits_made_small():
        yield


@dataclass(frozen=True)
class StudyByCommand:
    """A study that ``cratesort study`` made: its lines, its seed, what it printed, its report."""

    lines: list[str]
    seed: int
    done: CliResult
    report: Path


@pytest.fixture(scope="session")
def study_by_command(tmp_path_factory: pytest.TempPathFactory) -> StudyByCommand:
    """One small study of three vendors. For reading only."""
    home, lines, seed = tmp_path_factory.mktemp("study"), labelled_tables.rows(of_each=6), 3
    table = labelled_tables.write(home / "table.csv", lines)
    options = {
        "--from-csv": table,
        "--report": "report",
        "--folds": FOLDS,
        "--seed": seed,
        "--reference-batch-size": REFERENCE_BATCH_SIZE,
    }
    arguments = [str(part) for option in options.items() for part in option]
    with fits_made_small():
        done = run_in_process(["study", *arguments], home, {})
    return StudyByCommand(lines, seed, done, home / "report")
