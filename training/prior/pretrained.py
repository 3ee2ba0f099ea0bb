"""What a model knows before it is fitted on any vendor's rows.

The general LSTM has learned names that the project generates (`training.maintainer.teach_prior`).
Its weights ship beside this module and no training run changes them. The learned LSTM of each fit
starts from them, with other generated names beside the real rows. Generated names belong to no
vendor: they may be learned on any side of a split and are never tested on.

There are two priors. `generated_prior` knows no vendor at all: every measurement on unseen vendors
starts from it. `starter_prior` also knows what the shipped starter learned from public vendors: a
retraining run starts from it, so that few labels cannot make a model worse than the starter.
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

#: Generated sounds of each category beside the real rows of an LSTM's fit, and of a forest's (in
#: folders, so that they have mates). ``docs/decisions/0011`` has the figures of other sizes.
REPLAYED_SOUNDS: Final = 200
STACKED_SOUNDS: Final = 400

#: The prior is the same whatever seed a training run has.
PRIOR_SEED: Final = 11

PRIOR_FILE: Final = "prior.npz"

#: With few labels a model that starts from the starter learns slowly and keeps most of its trees.
#: With more labels of more vendors it learns faster and keeps fewer trees. ``docs/decisions/0019``
#: has the figures of other rates and shares.
_FEW_LABELS: Final = 200
_KEPT_OF_FEW: Final = 48
_SLOWEST_RATE: Final = 0.0005
_FASTEST_RATE: Final = 0.003

#: More labels than these of a vendor's category teach nothing about other vendors.
_MOST_COUNTED_LABELS: Final = 50


@dataclass(frozen=True)
class Recipe:
    """How a fit continues from its prior.

    `epochs` and `learning_rate` are of each of the LSTM's fits; more or faster ones would wipe out
    the prior. `replayed_weight` and `stacked_weight` are the weights of all generated rows of an
    LSTM's fit, and of a forest's, where all real rows together weigh 1. `kept_trees` of the forest
    are the prior's.
    """

    epochs: int
    learning_rate: float
    replayed_weight: float
    stacked_weight: float
    kept_trees: int = 0


@dataclass(frozen=True)
class Prior:
    """Prior knowledge, ready for fits on real rows.

    `words` come first in every vocabulary, so that their ids are the same in all. `replayed` and
    `stacked` are generated sounds beside the real ones in an LSTM's fit, and in a forest's. No
    labels change the LSTM `general`. The learned LSTM starts from the weights `start`. The rest is
    the starter's, and None in the generated prior.
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
        """Return how a fit on these labelled sounds continues from here."""
        if self.forest is None:
            # Slower than the prior's own rate, which wiped out what it had learned.
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
    """Count labelled sounds, at most `_MOST_COUNTED_LABELS` of each category of a vendor."""
    _, vendor = np.unique(sounds.vendors.astype(str), return_inverse=True)
    counts = np.bincount(vendor * N_CATEGORIES + sounds.category_indices)
    return int(np.minimum(counts, _MOST_COUNTED_LABELS).sum())


@lru_cache(maxsize=1)
def generated_prior() -> Prior:
    """Return the prior that learned the project's generated names; it knows no vendor."""
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
    """Return the prior that knows what the shipped starter does: generated and public names."""
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
