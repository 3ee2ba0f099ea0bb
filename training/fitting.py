"""Fitting LSTM, scaler and forest on one set of rows, the forest out-of-fold.

The forest must learn how far to trust the LSTM, so it may only see probabilities for rows the LSTM
was not fitted on. Two rounds are stacked: folds by vendor show it an LSTM facing strangers' names,
random folds one facing names of vendors it knows. Trained on the first round alone it stops
trusting names even where they are known (random split of the public corpus: 0.57 accuracy instead
of 0.95); on the second alone it lost 0.03 macro F1 there.

Every fit starts from `prior` and has generated rows beside the real ones, of whom they are never
part: not of the folds, not of what is counted. How sure the stack may be of a vendor it has not
seen is learned the same way, from forests fitted without a fold's rows (`calibration`).

What is not here: measuring (`csv_run`, `retrain`, `evaluation`).
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
from classifier.stacking import (
    calibrated,
    fit_forest,
    fit_scaler,
    forest_inputs,
    forest_probabilities,
    temperature_to_json,
)
from classifier.vocabulary import Vocabulary
from training.calibration import fit_temperature
from training.dataset import LabelledSounds
from training.prior import Prior
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
    """The three models, their vocabulary and their calibration.

    `sequence` is the instance given to `fit_models`: fitting it again takes this model's LSTM away.
    """

    vocabulary: Vocabulary
    sequence: SequenceModel
    scaler: "StandardScaler"
    forest: "RandomForestClassifier"
    temperature: float

    def probabilities(self, sounds: LabelledSounds) -> NDArray[np.float32]:
        """Return the probabilities of each sound's categories, shape (n_sounds, 12)."""
        if not len(sounds):
            return np.zeros(
                (0, N_CATEGORIES), dtype=np.float32
            )  # scikit-learn refuses to scale none
        ids = self.vocabulary.encode([tokenise(name) for name in sounds.names])
        from_names = self.sequence.probabilities(ids)
        inputs = forest_inputs(from_names, sounds.headers, self.scaler)
        return calibrated(forest_probabilities(self.forest, inputs), self.temperature)

    def members(self) -> dict[str, bytes]:
        """Return what `artifact.publish` makes a bundle of."""
        return {
            manifest.VOCABULARY: self.vocabulary.to_json(),
            manifest.LSTM: self.sequence.to_bytes(),
            manifest.SCALER: _pickled(self.scaler),
            manifest.FOREST: _pickled(self.forest),
            manifest.CALIBRATION: temperature_to_json(self.temperature),
            manifest.COMPILED: compile_models(
                self.sequence.weights(), self.scaler, self.forest, self.temperature
            ),
        }


def n_epochs_of_a_fit(sounds: LabelledSounds, prior: Prior) -> int:
    """Return how often `fit_models` will call `on_epoch` for these sounds."""
    n_fits = 1 + sum(len(folds) for folds in _rounds(sounds, seed=0))
    return prior.recipe(sounds).epochs * n_fits


def fit_models(
    sounds: LabelledSounds,
    sequence: SequenceModel,
    prior: Prior,
    *,
    seed: int,
    on_epoch: Callable[[], None] = lambda: None,
) -> FittedModels:
    """Fit all three models and calibrate them; the same seed and sounds give the same models.

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
    recipe = prior.recipe(sounds)
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
            _beside(weights[rows], len(prior.replayed), recipe.replayed_weight),
            seed=seed,
            epochs=recipe.epochs,
            learning_rate=recipe.learning_rate,
            on_epoch=on_epoch,
        )
        return vocabulary

    # The generated rows come last. Nine in ten are others than any the LSTM learned.
    stacked = sounds.joined(prior.stacked)
    # Trees that are kept split on what their own scaler made of a header.
    scaler = prior.scaler or fit_scaler(stacked.headers)
    no_headers = np.full_like(stacked.headers, np.nan)
    rounds = _rounds(sounds, seed=seed)
    inputs: list[NDArray[np.float32]] = []
    for folds in rounds:
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

    stacked_weights = _beside(weights, len(prior.stacked), recipe.stacked_weight)
    copies_weights = [stacked_weights, HEADERLESS_WEIGHT * stacked_weights] * len(rounds)

    def fit_on(rows: NDArray[np.int64]) -> "RandomForestClassifier":
        return fit_forest(
            np.concatenate([copy[rows] for copy in inputs]),
            np.tile(stacked.category_indices[rows], len(inputs)),
            np.concatenate([of_copy[rows] for of_copy in copies_weights]),
            seed=seed,
            kept=prior.forest,
            n_kept=recipe.kept_trees,
        )

    def temperature() -> float:
        by_vendor = len(rounds) > 1
        if prior.temperature is not None and not by_vendor:
            return prior.temperature  # one vendor says nothing of how sure to be of another's
        left_alone = np.zeros((len(sounds), N_CATEGORIES), dtype=np.float32)
        generated = np.arange(len(sounds), len(stacked))
        for learned, left_out in rounds[-1]:
            without = fit_on(np.concatenate([learned, generated]))
            left_alone[left_out] = forest_probabilities(without, inputs[-2][left_out])
        return fit_temperature(sounds.category_indices, left_alone, weights)

    return FittedModels(
        temperature=temperature(),
        forest=fit_on(np.arange(len(stacked))),
        vocabulary=fit_sequence(np.arange(len(sounds))),
        sequence=sequence,
        scaler=scaler,
    )


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
