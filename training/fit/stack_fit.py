"""Fit the learned LSTM, the scaler and the forest on one set of rows, with out-of-fold stacking.

The forest learns how far to trust the LSTMs, so it only gets out-of-fold predictions of the learned
LSTM. Two rounds of folds are stacked. Folds by vendor show the forest how the LSTM predicts names
of unseen vendors; random folds show how it predicts names of known vendors. A forest fitted on
folds by vendor alone stops trusting the names of known vendors, too (random split of the public
corpus: 0.57 accuracy instead of 0.95). On random folds alone it lost 0.03 macro F1 there. Each row
is also repeated without its header, with the whole pack as pack-mates, and without pack-mates,
because all of these occur in production.

Every fit starts from a prior and adds generated rows to the real ones. Generated rows are never
tested and not counted as sounds. The general LSTM comes from the prior and is never fitted here.
The calibration uses forests that were fitted without the rows of a fold (`calibration`).
"""

import io
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

import joblib
import numpy as np
from numpy.typing import NDArray

from classifier.bundle import manifest
from classifier.categories import N_CATEGORIES
from classifier.model.arrays import WordCounts
from classifier.model.confidence import Calibration, kinds_of, word_counts
from classifier.model.forest import (
    calibrated,
    fit_forest,
    fit_scaler,
    forest_inputs,
    forest_probabilities,
)
from classifier.model.onnx_export import compile_models
from classifier.model.pooling import PackMateSummary, name_logs, pooled
from classifier.model.vocabulary import Vocabulary
from classifier.names.sound_words import LearnedWords
from training.data.dataset import LabelledSounds
from training.data.row_mates import folder_words, summaries_of, tokens_of
from training.data.splits import Fold, Rows, random_folds, vendor_folds
from training.fit.blind_forest import BlindForest, without_columns
from training.fit.calibration import ALWAYS_REVIEW, fit_calibration
from training.fit.learned_words import learned_words
from training.fit.reliability import KindReliability, reliability_by_kind
from training.prior.generation import GENERATED_VENDOR
from training.prior.naming import load_naming
from training.prior.pretrained import Prior

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.preprocessing import StandardScaler

    from classifier.model.name_lstm import SequenceModel

#: Folds of each out-of-fold round.
N_INNER_FOLDS: Final = 3

#: Weight of a row's copy without header; the row itself has weight 1.
HEADERLESS_WEIGHT: Final = 0.5

#: Weights of a row's copies with the whole pack as pack-mates, and without pack-mates.
PACK_WEIGHT: Final = 0.3
ALONE_WEIGHT: Final = 0.3


@dataclass(frozen=True)
class FittedModels:
    """The models, their vocabulary and their calibration.

    Later fits of the same `StackFitter` overwrite `learned`: use the models before the next fit.
    """

    vocabulary: Vocabulary
    general: "SequenceModel"
    learned: "SequenceModel"
    scaler: "StandardScaler"
    forest: "RandomForestClassifier"
    calibration: Calibration
    review_below: float
    #: Measured out of fold; empty if the calibration was taken from the prior.
    reliability: list[KindReliability]

    def probabilities(
        self, sounds: LabelledSounds, pack_mates: LabelledSounds | None = None
    ) -> NDArray[np.float32]:
        """Return the first array of `probabilities_and_kinds`."""
        return self.probabilities_and_kinds(sounds, pack_mates)[0]

    def probabilities_and_kinds(
        self, sounds: LabelledSounds, pack_mates: LabelledSounds | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the probability of each category and the kind of evidence, for each sound.

        The probabilities have the shape (n_sounds, 12). Sounds of one folder are pack-mates of each
        other. `pack_mates` are further sounds that may be pack-mates; only their names and folders
        are read.
        """
        if not len(sounds):
            # scikit-learn raises an error when it scales an empty array.
            return np.zeros((0, N_CATEGORIES), dtype=np.float32), np.zeros(0, dtype=np.int64)
        all_sounds = sounds if pack_mates is None else sounds.joined(pack_mates)
        tokens = tokens_of(all_sounds)
        ids, words = self.vocabulary.encode(tokens), word_counts(tokens, self.calibration.learned)
        logs = name_logs(self.general.probabilities(ids), self.learned.probabilities(ids))
        summary = summaries_of(all_sounds.folders, logs, words)
        names = pooled(logs, summary)[: len(sounds)]
        uncalibrated = forest_probabilities(
            self.forest, forest_inputs(names, sounds.headers, self.scaler)
        )
        kinds = kinds_of(
            uncalibrated.argmax(axis=1), words[: len(sounds)], summary.words[: len(sounds)]
        )
        over_all = calibrated(uncalibrated, self.calibration.temperature)
        return self.calibration.applied(over_all, kinds), kinds

    def summary(self, sounds: LabelledSounds, *, seed: int) -> dict[str, Any]:
        """Return the manifest's description of a fit on these sounds, as JSON values."""
        return {
            "seed": seed,
            "sounds": len(sounds),
            "sounds_per_category": sounds.per_category(),
            # Later measurements must not count these vendors as unseen.
            "vendors": sorted(set(map(str, sounds.vendors))),
            "words": len(self.vocabulary.words),
            "forest_nodes": int(sum(tree.tree_.node_count for tree in self.forest.estimators_)),
            "by_evidence": [asdict(of_kind) for of_kind in self.reliability],
        }

    def members(self) -> dict[str, bytes]:
        """Return the members of a bundle, for `publish`."""
        return {
            manifest.VOCABULARY: self.vocabulary.to_json(),
            manifest.GENERAL: self.general.to_bytes(),
            manifest.LSTM: self.learned.to_bytes(),
            manifest.SCALER: _pickled(self.scaler),
            manifest.FOREST: _pickled(self.forest),
            manifest.CALIBRATION: self.calibration.to_json(),
            manifest.COMPILED: compile_models(
                self.general.weights(),
                self.learned.weights(),
                self.scaler,
                self.forest,
                self.calibration.temperature,
            ),
        }


class StackFitter:
    """Fits the models to labelled sounds; the same prior, seed and sounds give the same models.

    All fits share one LSTM: each fit overwrites the LSTM of models fitted before. With `ablatable`,
    the `last` models and the inputs of their forest are kept for `without`.
    """

    last: FittedModels
    _last_fit: "_StackFit"

    def __init__(self, prior: Prior, *, seed: int, ablatable: bool = False) -> None:
        from classifier.model.name_lstm import SequenceModel  # TensorFlow takes seconds to load

        self._prior = prior
        self._seed = seed
        self._sequence = SequenceModel(seed)
        self._ablatable = ablatable

    def n_epochs(self, sounds: LabelledSounds) -> int:
        """Return the number of calls of `on_epoch` by `fit` for these sounds."""
        n_fits = 1 + sum(len(folds) for folds in _rounds(sounds, seed=0))
        return self._prior.recipe(sounds).epochs * n_fits

    def fit(
        self, sounds: LabelledSounds, on_epoch: Callable[[], None] = lambda: None
    ) -> FittedModels:
        """Fit all models except the general LSTM to at least two sounds, and calibrate."""
        fit = _StackFit(sounds, self._sequence, self._prior, self._seed, on_epoch)
        models = fit.models()
        if self._ablatable:
            self.last, self._last_fit = models, fit
        return models

    def without(self, hidden: slice) -> FittedModels:
        """Return the models fitted last, with a new forest that does not use the `hidden` inputs.

        The LSTMs are not fitted again. The models can predict but not be published.
        """
        forest = self._last_fit.blind_forest(hidden)
        return replace(self.last, forest=cast("RandomForestClassifier", forest))


class _StackFit:
    """One fit. In all stacked arrays, the generated rows come after the real ones."""

    def __init__(
        self,
        sounds: LabelledSounds,
        sequence: "SequenceModel",
        prior: Prior,
        seed: int,
        on_epoch: Callable[[], None],
    ) -> None:
        self._sounds = sounds
        self._sequence = sequence
        self._prior = prior
        self._seed = seed
        self._on_epoch = on_epoch
        self._recipe = prior.recipe(sounds)
        self._rounds = _rounds(sounds, seed=seed)
        self._weights = balancing_weights(sounds)
        # Nine in ten of these generated names are not among those that the LSTM learned.
        self._stacked = sounds.joined(prior.stacked)
        self._tokens = tokens_of(sounds) + tokens_of(prior.stacked)
        self._words = word_counts(self._tokens)
        self._replayed_tokens = tokens_of(prior.replayed)
        # Trees kept from the prior need header values scaled by the prior's scaler.
        self._scaler = prior.scaler or fit_scaler(self._stacked.headers)

    def models(self) -> FittedModels:
        """Fit all models; the LSTM is fitted on all sounds last."""
        self._sequence.start_from(self._prior.start)
        self._forest_views = views = self._views()
        calibration, review_below, reliability = self._calibration(views)
        return FittedModels(
            calibration=replace(calibration, learned=self._learned_words()),
            review_below=review_below,
            reliability=reliability,
            forest=self._fit_forest(views, np.arange(len(self._stacked))),
            vocabulary=self._fit_sequence(np.arange(len(self._sounds))),
            general=self._prior.general,
            learned=self._sequence,
            scaler=self._scaler,
        )

    def _learned_words(self) -> LearnedWords:
        """Return the words learned from labels; none where the fit starts from no calibration.

        Only a retraining run starts from one. Tables of public sounds teach no library's own words.
        """
        if self._prior.calibration is None:
            return frozenset()
        return learned_words(self._sounds, load_naming())

    def _fit_sequence(self, rows: Rows) -> Vocabulary:
        """Fit the LSTM on these real rows and the prior's replayed rows; return its vocabulary."""
        from classifier.model.name_lstm import one_hot

        replayed = self._prior.replayed
        tokens = [self._tokens[row] for row in rows]
        vocabulary = Vocabulary.fit(tokens, known=self._prior.words)
        categories = [self._sounds.category_indices[rows], replayed.category_indices]
        self._sequence.fit(
            vocabulary.encode(tokens + self._replayed_tokens),
            one_hot(np.concatenate(categories)),
            _with_generated(self._weights[rows], len(replayed), self._recipe.replayed_weight),
            seed=self._seed,
            epochs=self._recipe.epochs,
            learning_rate=self._recipe.learning_rate,
            on_epoch=self._on_epoch,
        )
        return vocabulary

    def _views(self) -> list[NDArray[np.float32]]:
        """Return the forest's inputs for all stacked rows, for each round the views of `_views`."""
        ids = Vocabulary(self._prior.words).encode(self._tokens)
        general = self._prior.general.probabilities(ids)
        views = []
        for folds in self._rounds:
            logs = name_logs(general, self._out_of_fold(folds))
            views += _views(self._stacked, logs, self._words, self._scaler)
        return views

    def _out_of_fold(self, folds: list[Fold]) -> NDArray[np.float32]:
        """Return out-of-fold predictions of the learned LSTM for all stacked rows."""
        # Generated sounds of one folder are pack-mates, so they are predicted in the same fold.
        _, generated_folder = np.unique(self._prior.stacked.folders, return_inverse=True)
        probabilities = np.zeros((len(self._stacked), N_CATEGORIES), dtype=np.float32)
        for fold, (learned, left_out) in enumerate(folds):
            vocabulary = self._fit_sequence(learned)
            generated = np.flatnonzero(generated_folder % len(folds) == fold)
            rows = np.concatenate([left_out, len(self._sounds) + generated])
            ids = vocabulary.encode([self._tokens[row] for row in rows])
            probabilities[rows] = self._sequence.probabilities(ids)
        return probabilities

    def _fit_forest(self, views: list[NDArray[np.float32]], rows: Rows) -> "RandomForestClassifier":
        """Fit a forest on all views of these rows (indices of stacked rows)."""
        weights = _with_generated(
            self._weights, len(self._prior.stacked), self._recipe.stacked_weight
        )
        view_weights = np.tile(_VIEW_WEIGHTS, len(self._rounds))
        return fit_forest(
            np.concatenate([view[rows] for view in views]),
            np.tile(self._stacked.category_indices[rows], len(views)),
            np.outer(view_weights, weights[rows]).ravel(),
            seed=self._seed,
            older=self._prior.forest,
            n_kept=self._recipe.kept_trees,
        )

    def blind_forest(self, hidden: slice) -> BlindForest:
        """Fit a forest without the `hidden` inputs; call `models` before."""
        views = [without_columns(view, hidden) for view in self._forest_views]
        return BlindForest(self._fit_forest(views, np.arange(len(self._stacked))), hidden)

    def _calibration(
        self, views: list[NDArray[np.float32]]
    ) -> tuple[Calibration, float, list[KindReliability]]:
        """Return the calibration, the confidence below which to review, and their reliability."""
        if self._prior.calibration is not None and len(self._rounds) == 1:
            # Sounds of one vendor do not show how confident to be on other vendors' sounds.
            return self._prior.calibration, self._prior.review_below or ALWAYS_REVIEW, []
        truth, n_sounds = self._sounds.category_indices, len(self._sounds)
        as_served = views[-len(_VIEW_WEIGHTS)]
        generated = np.arange(n_sounds, len(self._stacked))
        predicted = np.zeros((n_sounds, N_CATEGORIES), dtype=np.float32)
        for learned, left_out in self._rounds[-1]:
            forest = self._fit_forest(views, np.concatenate([learned, generated]))
            predicted[left_out] = forest_probabilities(forest, as_served[left_out])
        words = self._words[:n_sounds]
        folders = folder_words(self._sounds.folders, words)
        kinds = kinds_of(predicted.argmax(axis=1), words, folders)
        calibration, review_below = fit_calibration(
            truth, predicted, kinds, self._weights, self._prior.calibration
        )
        over_all = calibrated(predicted, calibration.temperature)
        probabilities = calibration.applied(over_all, kinds)
        reliability = reliability_by_kind(truth, probabilities, kinds, review_below=review_below)
        return calibration, review_below, reliability


#: Weights of the views that `_views` returns, in the same order.
_VIEW_WEIGHTS: Final = tuple(
    with_header * with_mates
    for with_mates in (1.0, PACK_WEIGHT, ALONE_WEIGHT)
    for with_header in (1.0, HEADERLESS_WEIGHT)
)


def _views(
    sounds: LabelledSounds, logs: NDArray[np.float32], words: WordCounts, scaler: "StandardScaler"
) -> list[NDArray[np.float32]]:
    """Return the forest's inputs for the same sounds in six variants, the most frequent first.

    The pack-mates are the folder, the whole pack or none, each with and without header.
    """
    no_headers = np.full_like(sounds.headers, np.nan)
    # Generated sounds have no packs; their folder is used instead.
    packs = np.where(sounds.vendors == GENERATED_VENDOR, sounds.folders, sounds.packs)
    summaries = [
        summaries_of(sounds.folders, logs, words),
        summaries_of(packs, logs, words),
        PackMateSummary.unknown(len(logs)),
    ]
    return [
        forest_inputs(pooled(logs, summary), headers, scaler)
        for summary in summaries
        for headers in (sounds.headers, no_headers)
    ]


def _with_generated(
    weights: NDArray[np.float64], n_generated: int, share: float
) -> NDArray[np.float64]:
    """Append equal weights for generated rows; their sum is `share` times the sum of `weights`."""
    return np.concatenate([weights, np.full(n_generated, share * weights.sum() / n_generated)])


def balancing_weights(sounds: LabelledSounds) -> NDArray[np.float64]:
    """Weight each row by 1 / sqrt(rows with the same vendor and category), scaled to mean 1.

    With the root, 2,250 files of one vendor weigh as much as 47 files of 47 vendors. Without it
    (full balance) the random split of the public corpus lost 0.03 macro F1.
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
    joblib.dump(estimator, buffer)  # uncompressed, because the bundle's zip compresses it
    return buffer.getvalue()
