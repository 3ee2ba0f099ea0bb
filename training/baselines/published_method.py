"""The published method, reproduced with its defects.

Four systems: TF-IDF with multinomial naive Bayes, TF-IDF with a random forest, an LSTM over the
name, and a forest stacked on the LSTM's *in-sample* predictions and the header's numbers. They keep
the published handling of names on purpose: a name is cut at its first dot, and the LSTM drops the
first tokens of a long name.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classifier.categories import N_CATEGORIES
from training.data.dataset import LabelledSounds, header_values

#: Hyperparameters as published.
TFIDF_TERMS: Final = 5_000
FOREST_TREES: Final = 200
VOCABULARY: Final = 500
SEQUENCE_LENGTH: Final = 6
EPOCHS: Final = 20

#: Probabilities are clipped to this before a logarithm is taken, as in Keras.
_LEAST_PROBABILITY: Final = 1e-7

_PADDING: Final = 0
_UNKNOWN: Final = 1
_WORD = re.compile(r"\w+")


class FittedSystem(Protocol):
    """Anything that predicts categories from names and headers."""

    def probabilities(self, sounds: LabelledSounds) -> NDArray[np.float32]:
        """Return the probability of each category, shape (n_sounds, 12)."""
        ...


def name_words(name: str) -> list[str]:
    """Return the words of a name as the published method splits it.

    The name is cut at its first dot and split at underscores. A last part that consists of digits
    is dropped. The other parts are split into words.
    """
    base = name.replace("\\", "/").rpartition("/")[2]
    parts = base.split(".")[0].split("_")
    if parts[-1].isdigit():
        parts = parts[:-1]
    return _WORD.findall(" ".join(parts))


class TfidfSystem:
    """A scikit-learn classifier on the TF-IDF of the words of names."""

    def __init__(self, sounds: LabelledSounds, classifier: ClassifierMixin) -> None:
        self._pipeline = make_pipeline(_tfidf(sounds), classifier)
        self._pipeline.fit(sounds.names, sounds.category_indices)

    def probabilities(self, sounds: LabelledSounds) -> NDArray[np.float32]:
        """See `FittedSystem`."""
        return _placed(self._pipeline.classes_, self._pipeline.predict_proba(sounds.names))


def fit_naive_bayes(sounds: LabelledSounds) -> TfidfSystem:
    """Fit multinomial naive Bayes on TF-IDF."""
    return TfidfSystem(sounds, MultinomialNB())


def fit_tfidf_forest(sounds: LabelledSounds, *, seed: int) -> TfidfSystem:
    """Fit a random forest on TF-IDF."""
    return TfidfSystem(sounds, _forest(seed))


@dataclass(frozen=True)
class LstmEpoch:
    """Loss and accuracy after an epoch, on the learned and on the validation sounds."""

    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float


class NameLstm:
    """The LSTM over the words of names; the published batch size is 1.

    `epochs` has the measurements after each epoch; it is empty without `validated` sounds.
    """

    def __init__(
        self,
        sounds: LabelledSounds,
        *,
        seed: int,
        batch_size: int,
        on_epoch: Callable[[], None] = lambda: None,
        validated: LabelledSounds | None = None,
    ) -> None:
        # TensorFlow takes seconds to load, and the other systems do not need it.
        from training.baselines.published_lstm import ReferenceLstm

        counts = Counter(word for name in sounds.names for word in _lower_words(name))
        # Most frequent first, and equally frequent words by first occurrence, as in Keras's
        # tokenizer. Padding and the unknown word use the first two of the 500 ids.
        common = [word for word, _ in counts.most_common(VOCABULARY - 2)]
        self._ids = {word: 2 + i for i, word in enumerate(common)}
        self.epochs: list[LstmEpoch] = []

        def after_epoch() -> None:
            if validated is not None and len(validated):
                self.epochs.append(LstmEpoch(*self._measured(sounds), *self._measured(validated)))
            on_epoch()

        self._lstm = ReferenceLstm(VOCABULARY, SEQUENCE_LENGTH, N_CATEGORIES, seed=seed)
        self._lstm.fit(
            self._encode(sounds.names.tolist()),
            sounds.category_indices,
            seed=seed,
            batch_size=batch_size,
            epochs=EPOCHS,
            on_epoch=after_epoch,
        )

    def probabilities(self, sounds: LabelledSounds) -> NDArray[np.float32]:
        """See `FittedSystem`."""
        return self._lstm.probabilities(self._encode(sounds.names.tolist()))

    def _measured(self, sounds: LabelledSounds) -> tuple[float, float]:
        """Return the mean cross-entropy and the accuracy."""
        probabilities, truth = self.probabilities(sounds), sounds.category_indices
        of_truth = np.maximum(probabilities[np.arange(len(truth)), truth], _LEAST_PROBABILITY)
        is_right = probabilities.argmax(axis=1) == truth
        return float(-np.log(of_truth).mean()), float(is_right.mean())

    def _encode(self, names: Sequence[str]) -> NDArray[np.int32]:
        ids = np.full((len(names), SEQUENCE_LENGTH), _PADDING, dtype=np.int32)
        for row, name in zip(ids, names, strict=True):
            last = [self._ids.get(word, _UNKNOWN) for word in _lower_words(name)][-SEQUENCE_LENGTH:]
            row[: len(last)] = last
        return ids


class InSampleStack:
    """A forest on the LSTM's predictions for the rows it learned, and on scaled header numbers."""

    def __init__(self, sounds: LabelledSounds, lstm: NameLstm, *, seed: int) -> None:
        self._lstm = lstm
        numbers = header_values(sounds.headers)
        with np.errstate(all="ignore"):
            means = np.array([np.nanmean(c) if np.isfinite(c).any() else 0.0 for c in numbers.T])
        self._means = means
        self._scaler = StandardScaler().fit(self._filled(numbers))
        self._forest = _forest(seed).fit(self._inputs(sounds), sounds.category_indices)

    def probabilities(self, sounds: LabelledSounds) -> NDArray[np.float32]:
        """See `FittedSystem`."""
        return _placed(self._forest.classes_, self._forest.predict_proba(self._inputs(sounds)))

    def _filled(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(np.isnan(numbers), self._means, numbers)

    def _inputs(self, sounds: LabelledSounds) -> NDArray[np.float64]:
        scaled = self._scaler.transform(self._filled(header_values(sounds.headers)))
        return np.concatenate([self._lstm.probabilities(sounds), scaled], axis=1)


class PublishedStack:
    """Fits the LSTM and the stack; the stack reuses the last LSTM if it learned the same sounds.

    If `validated` sounds are set when an LSTM is fitted, its `epochs` are measured.
    """

    def __init__(self, *, seed: int, batch_size: int) -> None:
        self._seed = seed
        self._batch_size = batch_size
        self._last: tuple[LabelledSounds, NameLstm] | None = None
        self.validated: LabelledSounds | None = None

    @staticmethod
    def n_epochs(_: LabelledSounds) -> int:
        """Return the number of calls of `on_epoch` by a fit of the LSTM."""
        return EPOCHS

    @property
    def epochs(self) -> tuple[LstmEpoch, ...]:
        """Measurements of the LSTM fitted last, one per epoch."""
        return () if self._last is None else tuple(self._last[1].epochs)

    def fit_lstm(self, sounds: LabelledSounds, on_epoch: Callable[[], None]) -> NameLstm:
        """Fit the LSTM."""
        lstm = NameLstm(
            sounds,
            seed=self._seed,
            batch_size=self._batch_size,
            on_epoch=on_epoch,
            validated=self.validated,
        )
        self._last = sounds, lstm
        return lstm

    def fit(self, sounds: LabelledSounds, on_epoch: Callable[[], None]) -> InSampleStack:
        """Fit the stack; fit the LSTM first unless the last one learned these sounds."""
        if self._last is None or self._last[0] is not sounds:
            self._last = sounds, self.fit_lstm(sounds, on_epoch)
        return InSampleStack(sounds, self._last[1], seed=self._seed)


def _lower_words(name: str) -> list[str]:
    return [word.lower() for word in name_words(name)]


def _tfidf(sounds: LabelledSounds) -> TfidfVectorizer:
    # If all names are digits there are no words, and scikit-learn rejects an empty vocabulary.
    vocabulary = None if any(map(name_words, sounds.names)) else [""]
    return TfidfVectorizer(
        max_features=TFIDF_TERMS,
        lowercase=False,
        tokenizer=name_words,
        token_pattern=None,
        vocabulary=vocabulary,
    )


def _forest(seed: int) -> RandomForestClassifier:
    # One thread: with several, the order of adding up the trees' predictions is not deterministic.
    return RandomForestClassifier(FOREST_TREES, random_state=seed, n_jobs=1)


def _placed(classes: NDArray[np.int64], columns: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return probabilities in the order of `CATEGORIES`; 0 for categories not learned."""
    placed = np.zeros((len(columns), N_CATEGORIES), dtype=np.float32)
    placed[:, classes] = columns
    return placed
