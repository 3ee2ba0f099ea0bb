"""Compare champion and challenger out of fold, for a library without a holdout.

A small library has too few packs to hold some out from every model. Instead, its labelled sounds
are split into folds by folder, or by name if there are few folders. Each fold is predicted by a
model fitted on the other folds. The result estimates accuracy on further sounds of this library,
not on sounds of other vendors.
"""

import posixpath
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.names.numbered import name_without_number
from training.data.dataset import LabelledSounds
from training.data.holdout import FEWEST_PACKS, is_enough
from training.data.splits import Rows, vendor_folds
from training.evaluation.experiment import Experiment, Split, System
from training.evaluation.metrics import evaluate
from training.fit.stack_fit import StackFitter
from training.phase_progress import Progress
from training.runs.promotion_gate import GateDecision, judge

_N_FOLDS: Final = 3

#: With more sounds than this only one fold is tested, because each fold needs a fit.
_MOST_OF_ALL_FOLDS: Final = 2_000


def groups_of(sounds: LabelledSounds) -> tuple[NDArray[np.object_], str]:
    """Return each sound's group, which no fold may split, and the word for such a group.

    Groups are folders if there are at least `FEWEST_PACKS`. Otherwise they are names without their
    numbers, because takes of one sound are right or wrong together.
    """
    if len(set(sounds.folders)) >= FEWEST_PACKS:
        return sounds.folders, "folder"
    stems = [posixpath.splitext(name)[0] for name in sounds.names]
    names = [
        f"{folder}\0{name_without_number(stem) or stem}"
        for folder, stem in zip(sounds.folders, stems, strict=True)
    ]
    return np.array(names, dtype=object), "name"


def compare_out_of_fold(
    sounds: LabelledSounds,
    rows: Rows,
    champion: Callable[[LabelledSounds], NDArray[np.float32]],
    fitter: StackFitter,
    *,
    seed: int,
    progress: Progress,
) -> GateDecision:
    """Compare champion and challenger on `rows`, the sounds that the champion has not learned.

    Parameters
    ----------
    champion : callable
        Returns the champion's probabilities for sounds, shape (n_sounds, 12).
    """
    groups, unit = groups_of(sounds)
    n_groups = len(set(groups[rows]))
    splits = _splits(sounds, groups, rows, seed) if n_groups >= FEWEST_PACKS else []
    if not splits:
        return GateDecision(
            False,
            f"too few sounds to compare on: the current model was not trained on {len(rows):,} of "
            f"{len(sounds):,} labelled sounds, in {n_groups:,} {unit}s; at least {FEWEST_PACKS} "
            f"{unit}s are needed",
            is_proven=False,
        )
    system = System("challenger", "challenger", fitter.fit, fitter.n_epochs)
    experiment = Experiment(sounds, splits, [system])
    (result,) = experiment.run(progress, "comparing")
    tested = experiment.tested
    truth = sounds.category_indices[tested]
    old, new = champion(sounds)[tested], result.probabilities
    basis = f"{len(tested):,} of your sounds that neither model was trained on, grouped by {unit}"
    if is_enough(len(tested), len(set(groups[tested]))):
        decision = judge(truth, groups[tested], old, new, seed=seed, unit=unit)
        return replace(decision, reason=f"{decision.reason}; on {basis}")
    right = [int((probabilities.argmax(axis=1) == truth).sum()) for probabilities in (new, old)]
    return GateDecision(
        False,
        f"too few sounds to decide: the new model has {right[0]:,} right and the current one "
        f"{right[1]:,}, of {basis}",
        evaluate(truth, old),
        evaluate(truth, new),
        is_proven=False,
    )


def _splits(
    sounds: LabelledSounds, groups: NDArray[np.object_], rows: Rows, seed: int
) -> list[Split]:
    folds = vendor_folds(groups, sounds.category_indices, _N_FOLDS, seed=seed)
    if len(sounds) > _MOST_OF_ALL_FOLDS:
        folds = folds[:1]
    return [
        Split(sounds.take(learned), tested)
        for learned, tested in (
            (learned, np.intersect1d(tested, rows)) for learned, tested in folds
        )
        if len(tested) and len(set(sounds.category_indices[learned])) > 1
    ]
