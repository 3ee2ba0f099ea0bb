"""What a model knows before it has seen any vendor's rows, and what keeps it from forgetting that.

The general LSTM learns the project's own generated names once, on a maintainer's machine
(``make prior``); what it then knows ships beside this module, and no training run learns it again.
It learns from teachers: LSTMs that each learned other names, with dropout, and of which every one
errs elsewhere; what they say together is right more often, and a single LSTM can learn to say it
(distillation, Hinton et al. 2015).

The learned LSTM of each fit goes on from there, with other generated names beside the real rows.
Nobody's vendor gave these names, so they may stand on the learning side of any split; they are
never tested on.

Two priors: `generated_prior` knows no vendor at all, so whatever is measured on vendors kept out
starts from it. `starter_prior` knows what the starter that ships has learned from public vendors
too; a retraining run starts from it, so that few labels cannot make a model worse than the starter.
"""

import hashlib
import io
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.bundle.load import load_originals, read_manifest
from classifier.bundle.starter import starter_bundle
from classifier.categories import N_CATEGORIES
from classifier.model.vocabulary import Vocabulary
from classifier.names.tokens import tokenise
from training.data.dataset import LabelledSounds
from training.prior.generation import generate_folders, generate_sounds
from training.prior.naming import load_naming

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.preprocessing import StandardScaler

    from classifier.model.name_lstm import SequenceModel

#: Teachers, and the generated sounds of each category that each of them learns; their pupil learns
#: what they say of all. ``docs/decisions/0022`` has the figures of fewer.
N_TEACHERS: Final = 6
TAUGHT_SOUNDS: Final = 1600
TEACHER_EPOCHS: Final = 8
PUPIL_EPOCHS: Final = 6

#: Generated sounds of each category beside the real rows of an LSTM's fit, and of a forest's (in
#: folders, so that they have mates). ``docs/decisions/0011`` has the figures of other sizes.
REPLAYED_SOUNDS: Final = 200
STACKED_SOUNDS: Final = 400

#: The prior is the same whatever seed a training run has.
_SEED: Final = 11

#: A word that fewer generated names hold is an invented one.
_LEAST_NAMES_OF_A_WORD: Final = 3

#: Words of the prior at most: a vocabulary is to have room for those of vendors.
_MOST_PRIOR_WORDS: Final = 3500

_FILE: Final = "prior.npz"

#: Few labels change a model that starts from the starter slowly, and most of its trees are the
#: starter's own; the more labels of the more vendors there are, the faster it learns and the fewer
#: trees it keeps. ``docs/decisions/0019`` has the figures of other rates and shares.
_FEW_LABELS: Final = 200
_KEPT_OF_FEW: Final = 48
_SLOWEST_RATE: Final = 0.0005
_FASTEST_RATE: Final = 0.003

#: What a vendor's category says more with more labels than these is about that vendor alone.
_TELLING_LABELS: Final = 50


@dataclass(frozen=True)
class Recipe:
    """How a fit goes on from its prior.

    Attributes
    ----------
    epochs : int
        Of each of the LSTM's fits: fewer than the prior's own, which they would otherwise wipe out.
    learning_rate : float
        Of the first epoch.
    replayed_weight, stacked_weight : float
        Weight of all generated rows of an LSTM's fit, and of a forest's, where all real rows
        together weigh 1.
    kept_trees : int
        Trees of the forest that are taken over from the prior's.
    """

    epochs: int
    learning_rate: float
    replayed_weight: float
    stacked_weight: float
    kept_trees: int = 0


@dataclass(frozen=True)
class Prior:
    """Prior knowledge, ready for fits on real rows.

    Attributes
    ----------
    words : tuple of str
        The first words of every vocabulary, so that their ids are the same in all.
    replayed, stacked : LabelledSounds
        Generated sounds beside the real ones in an LSTM's fit, and in a forest's.
    general : SequenceModel
        The LSTM that no labels change.
    start : tuple of ndarray
        Weights that the learned LSTM starts from, for `SequenceModel.start_from`.
    scaler, forest, temperature, review_below : optional
        Of the starter; None where only generated names were learned.
    """

    words: tuple[str, ...]
    replayed: LabelledSounds
    stacked: LabelledSounds
    general: "SequenceModel"
    start: tuple[NDArray[np.float32], ...]
    scaler: "StandardScaler | None" = None
    forest: "RandomForestClassifier | None" = None
    temperature: float | None = None
    review_below: float | None = None

    def recipe(self, sounds: LabelledSounds) -> Recipe:
        """Return how a fit on these labelled sounds goes on from here."""
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
    """Count labelled sounds, of a vendor's category no more than tell anything of others."""
    _, vendor = np.unique(sounds.vendors.astype(str), return_inverse=True)
    counts = np.bincount(vendor * N_CATEGORIES + sounds.category_indices)
    return int(np.minimum(counts, _TELLING_LABELS).sum())


@lru_cache(maxsize=1)
def generated_prior() -> Prior:
    """Return what the project's generated names taught, as it ships; it knows no vendor."""
    from classifier.model.name_lstm import SequenceModel

    packed = resources.files("training.prior").joinpath(_FILE).read_bytes()
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        words = tuple(map(str, arrays["words"]))
        start = tuple(arrays[f"weights_{i}"] for i in range(len(arrays.files) - 2))
    general = SequenceModel(_SEED)
    general.take(start)
    return Prior(words, *_generated_rows(), general, start)


@lru_cache(maxsize=1)
def starter_prior() -> Prior:
    """Return what the starter that ships knows: generated names, and names of public vendors."""
    bundle = starter_bundle()
    starter = load_originals(bundle)
    return Prior(
        starter.vocabulary.words,
        *_generated_rows(),
        starter.general,
        starter.learned.state(),
        starter.scaler,
        starter.forest,
        starter.temperature,
        read_manifest(bundle).review_below,
    )


def learned_from() -> str:
    """Return the hash of the rows that the general LSTM is to have learned, in hexadecimal."""
    digest = hashlib.sha256()
    for sounds in _taught_rows():
        for name, category in zip(sounds.names, sounds.category_indices, strict=True):
            digest.update(f"{name}\0{category}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def shipped_from() -> str:
    """Return the hash of the rows that the shipped prior did learn."""
    packed = resources.files("training.prior").joinpath(_FILE).read_bytes()
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        return str(arrays["learned_from"])


def _taught_rows() -> list[LabelledSounds]:
    naming = load_naming()
    return [
        generate_sounds(naming, TAUGHT_SOUNDS, seed=_SEED + teacher)
        for teacher in range(N_TEACHERS)
    ]


@lru_cache(maxsize=1)
def _generated_rows() -> tuple[LabelledSounds, LabelledSounds]:
    naming = load_naming()
    return (
        generate_sounds(naming, REPLAYED_SOUNDS, seed=_SEED + 101),
        generate_folders(naming, STACKED_SOUNDS, seed=_SEED + 102),
    )


def _teach(rows: list[LabelledSounds]) -> tuple[Vocabulary, "SequenceModel"]:
    """Fit a teacher on each set of rows, and their pupil on what they say of all rows."""
    from classifier.model.name_lstm import SequenceModel, one_hot

    tokens = [[tokenise(name) for name in sounds.names] for sounds in rows]
    all_tokens = [of_name for of_rows in tokens for of_name in of_rows]
    fitted = Vocabulary.fit(all_tokens, minimum_count=_LEAST_NAMES_OF_A_WORD)
    vocabulary = Vocabulary(fitted.words[:_MOST_PRIOR_WORDS])
    all_ids = vocabulary.encode(all_tokens)
    said = np.zeros((len(all_ids), N_CATEGORIES), dtype=np.float32)
    for number, (sounds, of_rows) in enumerate(zip(rows, tokens, strict=True)):
        teacher = SequenceModel(_SEED + number, regularised=True)
        teacher.fit(
            vocabulary.encode(of_rows),
            one_hot(sounds.category_indices),
            np.ones(len(sounds)),
            seed=_SEED + number,
            epochs=TEACHER_EPOCHS,
        )
        said += teacher.probabilities(all_ids) / len(rows)
        sys.stderr.write(f"teacher {number + 1} of {len(rows)}\n")
    pupil = SequenceModel(_SEED)
    pupil.fit(all_ids, said, np.ones(len(said)), seed=_SEED, epochs=PUPIL_EPOCHS)
    return vocabulary, pupil


def main() -> None:
    """Learn the generated names anew and put what was learned where the package looks for it."""
    rows = _taught_rows()
    vocabulary, pupil = _teach(rows)
    pupil.forget_words(len(vocabulary.words))
    arrays: dict[str, Any] = {f"weights_{i}": part for i, part in enumerate(pupil.state())}
    home = str(resources.files("training.prior").joinpath(_FILE))
    np.savez_compressed(
        home, words=np.array(vocabulary.words), learned_from=np.array(learned_from()), **arrays
    )
    sys.stderr.write(f"{home}: {sum(map(len, rows)):,} names, {len(vocabulary.words):,} words\n")


if __name__ == "__main__":
    main()
