"""Priors: the pretrained weights and generated rows from which every fit starts.

The general LSTM was trained on generated names (`training.maintainer.teach_prior`). Its weights
ship next to this module, and no training run changes them. The learned LSTM of a fit starts from
the prior's weights and also learns other generated names along with the real rows. Generated names
belong to no vendor, so they may be learned on both sides of a split; they are never tested.

There are two priors. `generated_prior` knows no real vendor; every measurement on unseen vendors
starts from it. `starter_prior` also contains what the shipped starter learned from public vendors.
Retraining starts from it, so that a few labels cannot make a model worse than the starter.
"""

import io
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from classifier.bundle.load import load_originals, read_manifest
from classifier.bundle.starter import starter_bundle
from classifier.categories import N_CATEGORIES
from classifier.model.confidence import Calibration
from training.data.dataset import LabelledSounds
from training.prior.generation import generate_folders, generate_sounds
from training.prior.naming import load_naming

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.preprocessing import StandardScaler

    from classifier.model.name_lstm import SequenceModel

#: Generated sounds per category that are added to the real rows of an LSTM's fit, and of a forest's
#: (in folders, so that they have pack-mates). ``docs/decisions/0011`` compares other sizes.
REPLAYED_SOUNDS: Final = 200
STACKED_SOUNDS: Final = 400

#: The seed of the prior, independent of a training run's seed.
PRIOR_SEED: Final = 11

PRIOR_FILE: Final = "prior.npz"

#: With few labels, a fit from the starter uses a low learning rate and keeps many of its trees.
#: With more labels of more vendors it learns faster and keeps fewer trees. ``docs/decisions/0019``
#: compares other rates and shares.
_FEW_LABELS: Final = 200
_KEPT_OF_FEW: Final = 48
_SLOWEST_RATE: Final = 0.0005
_FASTEST_RATE: Final = 0.003

#: Further labels of the same vendor and category teach nothing about other vendors.
_MOST_COUNTED_LABELS: Final = 50


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of a fit that starts from a prior.

    `epochs` and `learning_rate` apply to each fit of the LSTM; higher values would overwrite the
    prior. `replayed_weight` (LSTM) and `stacked_weight` (forest) are the total weight of the
    generated rows, relative to the total weight of the real rows. `kept_trees` of the forest are
    taken from the prior.
    """

    epochs: int
    learning_rate: float
    replayed_weight: float
    stacked_weight: float
    kept_trees: int = 0


@dataclass(frozen=True)
class Prior:
    """Prior knowledge from which fits on real rows start.

    `words` come first in every vocabulary, so that their ids are the same in all. `replayed` and
    `stacked` are generated sounds that are added to the real ones in fits of the LSTM and of the
    forest. `general` is the LSTM that no fit changes. The learned LSTM starts from the weights
    `start`. The other attributes come from the starter; they are None in the generated prior.
    """

    words: tuple[str, ...]
    replayed: LabelledSounds
    stacked: LabelledSounds
    general: "SequenceModel"
    start: tuple[NDArray[np.float32], ...]
    scaler: "StandardScaler | None" = None
    forest: "RandomForestClassifier | None" = None
    calibration: Calibration | None = None
    review_below: float | None = None

    def recipe(self, sounds: LabelledSounds) -> Recipe:
        """Return the hyperparameters for a fit of this prior on these labelled sounds."""
        if self.forest is None:
            # Lower than the rate the prior was trained with, which erased what it had learned.
            return Recipe(6, 0.003, replayed_weight=1.0, stacked_weight=2.0)
        growth = max(1.0, _breadth(sounds) / _FEW_LABELS) ** 0.5
        return Recipe(
            epochs=6,
            learning_rate=min(_SLOWEST_RATE * growth, _FASTEST_RATE),
            replayed_weight=3.0,
            stacked_weight=2.0,
            kept_trees=round(_KEPT_OF_FEW / growth),
        )


def _breadth(sounds: LabelledSounds) -> int:
    """Count labelled sounds, at most `_MOST_COUNTED_LABELS` per vendor and category."""
    _, vendor = np.unique(sounds.vendors.astype(str), return_inverse=True)
    counts = np.bincount(vendor * N_CATEGORIES + sounds.category_indices)
    return int(np.minimum(counts, _MOST_COUNTED_LABELS).sum())


@lru_cache(maxsize=1)
def generated_prior() -> Prior:
    """Return the prior that learned only generated names; it knows no real vendor."""
    from classifier.model.name_lstm import SequenceModel

    packed = resources.files("training.prior").joinpath(PRIOR_FILE).read_bytes()
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        words = tuple(map(str, arrays["words"]))
        start = tuple(arrays[f"weights_{i}"] for i in range(len(arrays.files) - 2))
    general = SequenceModel(PRIOR_SEED)
    general.take(start)
    return Prior(words, *_generated_rows(), general, start)


@lru_cache(maxsize=1)
def starter_prior() -> Prior:
    """Return the prior made of the shipped starter, which learned generated and public names."""
    bundle = starter_bundle()
    starter = load_originals(bundle)
    return Prior(
        starter.vocabulary.words,
        *_generated_rows(),
        starter.general,
        starter.learned.state(),
        starter.scaler,
        starter.forest,
        starter.calibration,
        read_manifest(bundle).review_below,
    )


@lru_cache(maxsize=1)
def _generated_rows() -> tuple[LabelledSounds, LabelledSounds]:
    naming = load_naming()
    return (
        generate_sounds(naming, REPLAYED_SOUNDS, seed=PRIOR_SEED + 101),
        generate_folders(naming, STACKED_SOUNDS, seed=PRIOR_SEED + 102),
    )
