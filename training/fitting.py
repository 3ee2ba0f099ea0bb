"""Fitting LSTM, scaler and forest on one set of rows, the forest out-of-fold.

The forest must learn how far to trust the LSTM, so it may only see probabilities for rows the LSTM
was not fitted on. Two rounds are stacked: folds by vendor show it an LSTM facing strangers' names,
random folds one facing names of vendors it knows. Trained on the first round alone it stops
trusting names even where they are known (random split of the public corpus: 0.57 accuracy instead
of 0.95); on the second alone it lost 0.03 macro F1 there.

Every fit starts from `prior` and has generated rows beside the real ones, of whom they are never
part: not of the folds, not of what is counted.

What is not here: measuring (`retrain`, `evaluation`).
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import joblib
import numpy as np
from numpy.typing import NDArray

from classifier import manifest
from classifier.compiled import compile_models
from classifier.filenames import tokenise
from classifier.labels import N_CATEGORIES
from classifier.sequence import SequenceModel
from classifier.stacking import fit_forest, fit_scaler, forest_inputs, forest_probabilities
from classifier.vocabulary import Vocabulary
from training.dataset import LabelledSounds
from training.prior import EPOCHS, LEARNING_RATE, REPLAYED_WEIGHT, STACKED_WEIGHT, Prior
from training.splits import Fold, random_folds, vendor_folds

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.preprocessing import StandardScaler

#: Folds of each out-of-fold round.
N_INNER_FOLDS: Final = 3

#: Weight of a row's copy without header, beside the row itself: names alone must do, too.
HEADERLESS_WEIGHT: Final = 0.5

Tokens = list[list[str]]


@dataclass(frozen=True)
class FittedModels:
    """The three models and their vocabulary.

    `sequence` is the instance given to `fit_models`: fitting it again takes this model's LSTM away.
    """

    vocabulary: Vocabulary
    sequence: SequenceModel
    scaler: "StandardScaler"
    forest: "RandomForestClassifier"

    def probabilities(self, sounds: LabelledSounds) -> NDArray[np.float32]:
        """Return the probabilities of each sound's categories, shape (n_sounds, 12)."""
        ids = self.vocabulary.encode([tokenise(name) for name in sounds.names])
        from_names = self.sequence.probabilities(ids)
        inputs = forest_inputs(from_names, sounds.headers, self.scaler)
        return forest_probabilities(self.forest, inputs)

    def members(self) -> dict[str, bytes]:
        """Return what `artifact.publish` makes a bundle of."""
        return {
            manifest.VOCABULARY: self.vocabulary.to_json(),
            manifest.LSTM: self.sequence.to_bytes(),
            manifest.SCALER: _pickled(self.scaler),
            manifest.FOREST: _pickled(self.forest),
            manifest.COMPILED: compile_models(self.sequence.weights(), self.scaler, self.forest),
        }


def n_epochs_of_a_fit(sounds: LabelledSounds) -> int:
    """Return how often `fit_models` will call `on_epoch` for these sounds."""
    return EPOCHS * (1 + sum(len(folds) for folds in _rounds(sounds, seed=0)))


def fit_models(
    sounds: LabelledSounds,
    sequence: SequenceModel,
    prior: Prior,
    *,
    seed: int,
    on_epoch: Callable[[], None] = lambda: None,
) -> FittedModels:
    """Fit all three models; the same seed and sounds give the same models.

    Parameters
    ----------
    sounds : LabelledSounds
        At least two.
    sequence : SequenceModel
        Fitted again from the prior for each fold, last on all sounds.
    prior : Prior
    seed : int
    on_epoch : callable
        Called after each epoch of each of the LSTM's fits.
    """
    sequence.start_from(prior.start)
    tokens = [tokenise(name) for name in sounds.names]
    weights = balancing_weights(sounds)
    replayed_tokens = [tokenise(name) for name in prior.replayed.names]
    stacked_tokens = [tokenise(name) for name in prior.stacked.names]

    def fit_sequence(rows: NDArray[np.int64]) -> Vocabulary:
        own_tokens = [tokens[row] for row in rows]
        vocabulary = Vocabulary.fit(own_tokens, known=prior.words)
        sequence.fit(
            vocabulary.encode(own_tokens + replayed_tokens),
            np.concatenate([sounds.category_indices[rows], prior.replayed.category_indices]),
            _beside(weights[rows], len(prior.replayed), REPLAYED_WEIGHT),
            seed=seed,
            epochs=EPOCHS,
            learning_rate=LEARNING_RATE,
            on_epoch=on_epoch,
        )
        return vocabulary

    # The generated rows come last. Nine in ten are others than any the LSTM learned.
    stacked = sounds.joined(prior.stacked)
    scaler = fit_scaler(stacked.headers)
    no_headers = np.full_like(stacked.headers, np.nan)
    inputs: list[NDArray[np.float32]] = []
    for folds in _rounds(sounds, seed=seed):
        out_of_fold = np.zeros((len(stacked), N_CATEGORIES), dtype=np.float32)
        for fold, (learned, left_out) in enumerate(folds):
            vocabulary = fit_sequence(learned)
            generated = np.arange(len(sounds) + fold, len(stacked), len(folds))
            ids = vocabulary.encode(
                [tokens[row] for row in left_out] + stacked_tokens[fold :: len(folds)]
            )
            out_of_fold[np.concatenate([left_out, generated])] = sequence.probabilities(ids)
        inputs.append(forest_inputs(out_of_fold, stacked.headers, scaler))
        inputs.append(forest_inputs(out_of_fold, no_headers, scaler))
    n_rounds = len(inputs) // 2
    stacked_weights = _beside(weights, len(prior.stacked), STACKED_WEIGHT)
    forest = fit_forest(
        np.concatenate(inputs),
        np.tile(stacked.category_indices, 2 * n_rounds),
        np.tile(np.concatenate([stacked_weights, HEADERLESS_WEIGHT * stacked_weights]), n_rounds),
        seed=seed,
    )
    return FittedModels(fit_sequence(np.arange(len(sounds))), sequence, scaler, forest)


def _beside(weights: NDArray[np.float64], n_generated: int, share: float) -> NDArray[np.float64]:
    """Append equal weights of generated rows that sum to `share` of all the given ones."""
    return np.concatenate([weights, np.full(n_generated, share * weights.sum() / n_generated)])


def balancing_weights(sounds: LabelledSounds) -> NDArray[np.float64]:
    """Weight rows by one over the root of how many their vendor has in their category.

    A category of one vendor's 2,250 files so weighs as much as 47 files of as many vendors. Whole
    balance (without the root) cost 0.03 macro F1 on the random split of the public corpus.

    Returns
    -------
    ndarray of shape (n_sounds,), float64
        With mean 1.
    """
    _, vendor = np.unique(sounds.vendors.astype(str), return_inverse=True)
    group = vendor * N_CATEGORIES + sounds.category_indices
    weights = 1.0 / np.sqrt(np.bincount(group)[group])
    return np.asarray(weights / weights.mean())


def _rounds(sounds: LabelledSounds, *, seed: int) -> list[list[Fold]]:
    rounds = [random_folds(sounds.category_indices, N_INNER_FOLDS, seed=seed)]
    if len(set(sounds.vendors)) > 1:
        by_vendor = vendor_folds(sounds.vendors, sounds.category_indices, N_INNER_FOLDS, seed=seed)
        rounds.append(by_vendor)
    return rounds


def _pickled(estimator: object) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)  # uncompressed: the bundle's zip does that
    return buffer.getvalue()
