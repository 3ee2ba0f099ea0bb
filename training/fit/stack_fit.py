"""Fitting the learned LSTM, scaler and forest on one set of rows, the forest out-of-fold.

The forest must learn how far to trust the LSTMs, so it may only see the learned one's answers for
rows that it was not fitted on. Two rounds are stacked: folds by vendor show it an LSTM facing
strangers' names, random folds one facing names of vendors it knows. Trained on the first round
alone it stops trusting names even where they are known (random split of the public corpus: 0.57
accuracy instead of 0.95); on the second alone it lost 0.03 macro F1 there. Of each row it also sees
what it would without header, with the whole pack for mates, and without mates: all of them happen.

Every fit starts from `prior` and has generated rows beside the real ones, of whom they are never
part: not of the folds, not of what is counted. The general LSTM is the prior's and never fitted
here. How sure the stack may be of a vendor it has not seen is learned the same way, from forests
fitted without a fold's rows (`calibration`).
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import joblib
import numpy as np
from numpy.typing import NDArray

from classifier.bundle import manifest
from classifier.categories import N_CATEGORIES
from classifier.model.forest import (
    calibrated,
    fit_forest,
    fit_scaler,
    forest_inputs,
    forest_probabilities,
    temperature_to_json,
)
from classifier.model.onnx_export import compile_models
from classifier.model.pooling import PackMateSummary, name_logs, pooled
from classifier.model.vocabulary import Vocabulary
from training.data.dataset import LabelledSounds
from training.data.row_mates import said_over, tokens_of
from training.data.splits import Fold, random_folds, vendor_folds
from training.fit.calibration import NEVER_SURE, fit_temperature, review_threshold
from training.prior.generation import GENERATED_VENDOR
from training.prior.pretrained import Prior

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.preprocessing import StandardScaler

    from classifier.model.name_lstm import SequenceModel

#: Folds of each out-of-fold round.
N_INNER_FOLDS: Final = 3

#: Weight of a row's copy without header, beside the row itself: names alone must do, too.
HEADERLESS_WEIGHT: Final = 0.5

#: Weights of a row's copies whose mates are the whole pack's, and that has none, beside the row.
PACK_WEIGHT: Final = 0.3
ALONE_WEIGHT: Final = 0.3


@dataclass(frozen=True)
class FittedModels:
    """The models, their vocabulary and their calibration.

    `learned` is the instance given to `fit_models`: fitting it again takes this model's LSTM away.
    """

    vocabulary: Vocabulary
    general: "SequenceModel"
    learned: "SequenceModel"
    scaler: "StandardScaler"
    forest: "RandomForestClassifier"
    temperature: float
    review_below: float

    def probabilities(
        self, sounds: LabelledSounds, beside: LabelledSounds | None = None
    ) -> NDArray[np.float32]:
        """Return the probabilities of each sound's categories, shape (n_sounds, 12).

        Parameters
        ----------
        sounds : LabelledSounds
            Pack-mates of each other where they have one folder.
        beside : LabelledSounds, optional
            Further sounds that may be mates. Their names are read, and nothing else of them.
        """
        if not len(sounds):
            return np.zeros(
                (0, N_CATEGORIES), dtype=np.float32
            )  # scikit-learn refuses to scale none
        everyone = sounds if beside is None else sounds.joined(beside)
        ids = self.vocabulary.encode(tokens_of(everyone))
        logs = name_logs(self.general.probabilities(ids), self.learned.probabilities(ids))
        names = pooled(logs, said_over(everyone.folders, logs))[: len(sounds)]
        inputs = forest_inputs(names, sounds.headers, self.scaler)
        return calibrated(forest_probabilities(self.forest, inputs), self.temperature)

    def members(self) -> dict[str, bytes]:
        """Return what `publish` makes a bundle of."""
        return {
            manifest.VOCABULARY: self.vocabulary.to_json(),
            manifest.GENERAL: self.general.to_bytes(),
            manifest.LSTM: self.learned.to_bytes(),
            manifest.SCALER: _pickled(self.scaler),
            manifest.FOREST: _pickled(self.forest),
            manifest.CALIBRATION: temperature_to_json(self.temperature),
            manifest.COMPILED: compile_models(
                self.general.weights(),
                self.learned.weights(),
                self.scaler,
                self.forest,
                self.temperature,
            ),
        }


def n_epochs_of_a_fit(sounds: LabelledSounds, prior: Prior) -> int:
    """Return how often `fit_models` will call `on_epoch` for these sounds."""
    n_fits = 1 + sum(len(folds) for folds in _rounds(sounds, seed=0))
    return prior.recipe(sounds).epochs * n_fits


def fit_models(
    sounds: LabelledSounds,
    sequence: "SequenceModel",
    prior: Prior,
    *,
    seed: int,
    on_epoch: Callable[[], None] = lambda: None,
) -> FittedModels:
    """Fit all models but the general LSTM, and calibrate; same seed and sounds, same models.

    Parameters
    ----------
    sounds : LabelledSounds
        At least two.
    sequence : SequenceModel
        Fitted again from the prior for each fold, last on all sounds.
    on_epoch : callable
        Called after each epoch of each of the LSTM's fits.
    """
    from classifier.model.name_lstm import one_hot

    sequence.start_from(prior.start)
    recipe = prior.recipe(sounds)
    weights = balancing_weights(sounds)
    # The generated rows come last. Nine in ten are others than any the LSTM learned.
    stacked = sounds.joined(prior.stacked)
    tokens = tokens_of(sounds)
    stacked_tokens = tokens + tokens_of(prior.stacked)
    replayed_tokens = tokens_of(prior.replayed)

    def fit_sequence(rows: NDArray[np.int64]) -> Vocabulary:
        own_tokens = [tokens[row] for row in rows]
        vocabulary = Vocabulary.fit(own_tokens, known=prior.words)
        categories = [sounds.category_indices[rows], prior.replayed.category_indices]
        sequence.fit(
            vocabulary.encode(own_tokens + replayed_tokens),
            one_hot(np.concatenate(categories)),
            _beside(weights[rows], len(prior.replayed), recipe.replayed_weight),
            seed=seed,
            epochs=recipe.epochs,
            learning_rate=recipe.learning_rate,
            on_epoch=on_epoch,
        )
        return vocabulary

    general_said = prior.general.probabilities(Vocabulary(prior.words).encode(stacked_tokens))
    # Trees that are kept split on what their own scaler made of a header.
    scaler = prior.scaler or fit_scaler(stacked.headers)
    folds_of_generated = np.unique(prior.stacked.folders, return_inverse=True)[1]
    rounds = _rounds(sounds, seed=seed)
    inputs: list[NDArray[np.float32]] = []
    for folds in rounds:
        out_of_fold = np.zeros((len(stacked), N_CATEGORIES), dtype=np.float32)
        for fold, (learned, left_out) in enumerate(folds):
            vocabulary = fit_sequence(learned)
            # A folder as a whole: its sounds are mates.
            generated = len(sounds) + np.flatnonzero(folds_of_generated % len(folds) == fold)
            asked = np.concatenate([left_out, generated])
            ids = vocabulary.encode([stacked_tokens[row] for row in asked])
            out_of_fold[asked] = sequence.probabilities(ids)
        inputs += _views(stacked, name_logs(general_said, out_of_fold), scaler)

    stacked_weights = _beside(weights, len(prior.stacked), recipe.stacked_weight)
    view_weights = np.tile(_VIEW_WEIGHTS, len(rounds))

    def fit_on(rows: NDArray[np.int64]) -> "RandomForestClassifier":
        return fit_forest(
            np.concatenate([view[rows] for view in inputs]),
            np.tile(stacked.category_indices[rows], len(inputs)),
            np.outer(view_weights, stacked_weights[rows]).ravel(),
            seed=seed,
            kept=prior.forest,
            n_kept=recipe.kept_trees,
        )

    def calibration() -> tuple[float, float]:
        by_vendor = len(rounds) > 1
        if prior.temperature is not None and not by_vendor:
            # One vendor says nothing of how sure to be of another's.
            return prior.temperature, prior.review_below or NEVER_SURE
        left_alone = np.zeros((len(sounds), N_CATEGORIES), dtype=np.float32)
        generated = np.arange(len(sounds), len(stacked))
        for learned, left_out in rounds[-1]:
            without = fit_on(np.concatenate([learned, generated]))
            as_served = inputs[-len(_VIEW_WEIGHTS)]
            left_alone[left_out] = forest_probabilities(without, as_served[left_out])
        temperature = fit_temperature(sounds.category_indices, left_alone, weights)
        answers = calibrated(left_alone, temperature)
        return temperature, review_threshold(sounds.category_indices, answers)

    temperature, review_below = calibration()
    return FittedModels(
        temperature=temperature,
        review_below=review_below,
        forest=fit_on(np.arange(len(stacked))),
        vocabulary=fit_sequence(np.arange(len(sounds))),
        general=prior.general,
        learned=sequence,
        scaler=scaler,
    )


#: Weights of what `_views` returns, in its order.
_VIEW_WEIGHTS: Final = tuple(
    with_header * with_mates
    for with_mates in (1.0, PACK_WEIGHT, ALONE_WEIGHT)
    for with_header in (1.0, HEADERLESS_WEIGHT)
)


def _views(
    sounds: LabelledSounds, logs: NDArray[np.float32], scaler: "StandardScaler"
) -> list[NDArray[np.float32]]:
    """Return what the forest may get to see of the same sounds, first what it most often does."""
    no_headers = np.full_like(sounds.headers, np.nan)
    # Generated sounds have no packs: a folder is all there is of their makers.
    packs = np.where(sounds.vendors == GENERATED_VENDOR, sounds.folders, sounds.packs)
    summaries = [
        said_over(sounds.folders, logs),
        said_over(packs, logs),
        PackMateSummary.unknown(len(logs)),
    ]
    return [
        forest_inputs(pooled(logs, summary), headers, scaler)
        for summary in summaries
        for headers in (sounds.headers, no_headers)
    ]


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
