"""Small fits: the real training code with little to learn beside a test's own sounds.

A fit of full size takes ten seconds, nearly all of them for the generated rows beside the real ones
and for the trees. Tests of what a fit does with its sounds need neither.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from training.dataset import LabelledSounds
    from training.fitting import FittedModels
    from training.prior import Prior

#: Generated sounds of each category beside the real rows of an LSTM's fit, and of a forest's.
REPLAYED_SOUNDS = 2
STACKED_SOUNDS = 10

#: Trees of a forest, how many of them a retraining keeps, and those of the published method.
TREES = 16
KEPT_TREES = 12
REFERENCE_TREES = 20

#: Folds of the measurement, and within a fit.
FOLDS = 2


@contextmanager
def fits_made_small() -> Iterator[None]:
    """Make every fit of this process small while the block lasts."""
    from classifier import stacking
    from training import comparison, fitting, prior, reference, retrain, study, table_run

    generated, starter = _small_priors()
    with pytest.MonkeyPatch.context() as patch:
        for module in (comparison, study, table_run):
            patch.setattr(module, "generated_prior", lambda: generated)
        patch.setattr(retrain, "starter_prior", lambda: starter)
        patch.setattr(stacking, "N_TREES", TREES)
        patch.setattr(prior, "_KEPT_OF_FEW", KEPT_TREES)
        patch.setattr(reference, "FOREST_TREES", REFERENCE_TREES)
        patch.setattr(fitting, "N_INNER_FOLDS", FOLDS)
        patch.setattr(table_run, "N_OUTER_FOLDS", FOLDS)
        yield


@cache
def _small_priors() -> "tuple[Prior, Prior]":
    """Return what the generated names and the starter taught, with few generated rows."""
    from training import prior

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prior, "REPLAYED_SOUNDS", REPLAYED_SOUNDS)
        patch.setattr(prior, "STACKED_SOUNDS", STACKED_SOUNDS)
        # Past the caches, which keep the priors of full size.
        patch.setattr(prior, "_generated_rows", cache(prior._generated_rows.__wrapped__))
        return prior.generated_prior.__wrapped__(), prior.starter_prior.__wrapped__()


def prior_after(models: "FittedModels", prior: "Prior") -> "Prior":
    """Return the prior of a fit that goes on from these models, as a retraining does."""
    return replace(
        prior,
        words=models.vocabulary.words,
        start=models.learned.state(),
        scaler=models.scaler,
        forest=models.forest,
        temperature=models.temperature,
        review_below=models.review_below,
    )


def accuracy_and_f1(models: "FittedModels", sounds: "LabelledSounds") -> np.ndarray:
    """Return the models' accuracy and macro F1 on these sounds."""
    from training.evaluation import evaluate

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
