"""One training run: measure on vendors kept out, measure on a random split, fit, publish.

What is not here: the models (`fitting`), where the bundle is kept and whether it may serve.
Importing this module needs the ``[training]`` extra; `cli.exits` says so where it is missing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from classifier.artifact import publish, read_manifest
from classifier.labels import CATEGORIES, N_CATEGORIES
from classifier.manifest import Manifest
from classifier.sequence import SequenceModel
from training.dataset import LabelledSounds
from training.errors import TrainingError
from training.evaluation import Evaluation, evaluate
from training.fitting import FittedModels, fit_models, n_epochs_of_a_fit
from training.prior import Prior, learned_prior
from training.splits import Fold, random_split, vendor_folds

#: Folds of the measurement by vendor: every vendor is tested once.
N_OUTER_FOLDS: Final = 5

ONE_VENDOR: Final = (
    "all labelled sounds are of one vendor: nothing tells how the model does on another"
)


class Progress(Protocol):
    """Told how far a run is; `done` reaches `total` in each phase."""

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Phases come in a fixed order; `phase` is for a person to read."""
        ...


def no_progress(phase: str, done: int, total: int) -> None:
    """Ignore how far a run is."""


@dataclass(frozen=True)
class TrainingOutcome:
    """What a training run leaves behind.

    Attributes
    ----------
    bundle : bytes
        Published, so both engines are known to agree.
    manifest : Manifest
        Of `bundle`.
    by_vendor : Evaluation or None
        Over all sounds, each tested by a model that never saw its vendor. None with one vendor.
    by_vendor_skipped : str or None
        Why `by_vendor` is None.
    random_split : Evaluation
        A third of the rows drawn at random: vendors already known.
    seconds : float
        The whole run.
    """

    bundle: bytes
    manifest: Manifest
    by_vendor: Evaluation | None
    by_vendor_skipped: str | None
    random_split: Evaluation
    seconds: float


def train_bundle(
    sounds: LabelledSounds,
    *,
    version: str,
    seed: int = 0,
    progress: Progress = no_progress,
) -> TrainingOutcome:
    """Train and measure; publish a model fitted on all sounds.

    The measured models are others than the published one, fitted without the rows they are tested
    on: vocabulary, weights, scaler and out-of-fold stacking included.

    Parameters
    ----------
    sounds : LabelledSounds
    version : str
        Of the bundle.
    seed : int
        Of splits and fits; the same sounds and seed give the same bundle on one machine.
    progress : Progress

    Raises
    ------
    TrainingError
        No labels, or all of one category.
    BundleError
        The engines disagree about the trained models.
    """
    started = time.monotonic()
    present = np.unique(sounds.category_indices)
    if not len(sounds):
        raise TrainingError("no labelled sounds: training needs sounds of at least two categories")
    if len(present) == 1:
        raise TrainingError(
            f"all {len(sounds)} labelled sounds are {CATEGORIES[present[0]]}: "
            "training needs at least two categories"
        )
    progress("prior knowledge", 0, 1)
    prior = learned_prior()
    progress("prior knowledge", 1, 1)
    sequence = SequenceModel(seed)

    skipped = ONE_VENDOR if len(set(sounds.vendors)) == 1 else None
    by_vendor = None
    if skipped is None:
        folds = vendor_folds(sounds.vendors, sounds.category_indices, N_OUTER_FOLDS, seed=seed)
        by_vendor = _measured(sounds, sequence, prior, folds, seed, progress, "vendors kept out")
    split = random_split(len(sounds), seed=seed)
    random = _measured(sounds, sequence, prior, [split], seed, progress, "random split")
    advance = _counter(progress, "final model", n_epochs_of_a_fit(sounds))
    models = fit_models(sounds, sequence, prior, seed=seed, on_epoch=advance)
    progress("publishing", 0, 1)
    bundle = publish(
        models.members(),
        version=version,
        training=_summary(sounds, models, seed),
        metrics={
            "by_vendor": by_vendor.as_dict() if by_vendor else None,
            "by_vendor_skipped": skipped,
            "random_split": random.as_dict(),
        },
    )
    progress("publishing", 1, 1)
    return TrainingOutcome(
        bundle, read_manifest(bundle), by_vendor, skipped, random, time.monotonic() - started
    )


def _measured(
    sounds: LabelledSounds,
    sequence: SequenceModel,
    prior: Prior,
    folds: list[Fold],
    seed: int,
    progress: Progress,
    phase: str,
) -> Evaluation:
    """Fit on one side of every fold and test on the other; one evaluation over all tested rows."""
    sides = [(sounds.take(learned), tested) for learned, tested in folds]
    advance = _counter(progress, phase, sum(n_epochs_of_a_fit(side) for side, _ in sides))
    probabilities = np.zeros((len(sounds), N_CATEGORIES), dtype=np.float32)
    for side, tested in sides:
        models = fit_models(side, sequence, prior, seed=seed, on_epoch=advance)
        probabilities[tested] = models.probabilities(sounds.take(tested))
    tested_rows = np.concatenate([tested for _, tested in folds])
    return evaluate(sounds.category_indices[tested_rows], probabilities[tested_rows])


def _counter(progress: Progress, phase: str, total: int) -> Callable[[], None]:
    done = 0
    progress(phase, done, total)

    def advance() -> None:
        nonlocal done
        done += 1
        progress(phase, done, total)

    return advance


def _summary(sounds: LabelledSounds, models: FittedModels, seed: int) -> dict[str, Any]:
    counts = np.bincount(sounds.category_indices, minlength=N_CATEGORIES)
    return {
        "seed": seed,
        "sounds": len(sounds),
        "sounds_per_category": dict(zip(CATEGORIES, counts.tolist(), strict=True)),
        # Rows of these vendors can never again count as unseen.
        "vendors": sorted(set(map(str, sounds.vendors))),
        "words": len(models.vocabulary.words),
        "forest_nodes": int(sum(tree.tree_.node_count for tree in models.forest.estimators_)),
    }
