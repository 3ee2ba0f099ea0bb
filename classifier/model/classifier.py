"""A loaded model: predicts the probabilities of the twelve categories from names and headers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.categories import N_CATEGORIES
from classifier.headers.reader import AudioHeader
from classifier.model.arrays import HeaderMatrix, Probabilities
from classifier.model.confidence import Calibration, kinds_of, word_counts
from classifier.model.encoder import MOST_ROWS, NameEncoder
from classifier.model.engines import Engine
from classifier.model.header_features import header_matrix
from classifier.model.pooling import PackMateSummary, mean_over_lstms, pooled
from classifier.model.vocabulary import Vocabulary, token_counts
from classifier.names.pack_mates import PackMates
from classifier.names.sound_words import indicated_categories

#: Leaves the engine's confidence as it is.
UNCHANGED: Final = Calibration(1.0)


@dataclass(frozen=True)
class DetailedPredictions:
    """The predictions of a classifier, and what the LSTMs alone would predict."""

    #: The prediction.
    probabilities: Probabilities
    #: The LSTMs' prediction from the name alone.
    by_name: Probabilities
    #: Their prediction from the name and its pack-mates' names.
    by_pack_mates: Probabilities
    #: Shape (n_sounds, 2): how many tokens of each name were read, how many of these are unknown.
    tokens: NDArray[np.int64]
    #: Shape (n_sounds,): the kind of evidence for each prediction, as index of `evidence.KINDS`.
    kinds: NDArray[np.int64]


class Classifier:
    """A model loaded into an engine. Not shared between processes.

    - `version`: version of the bundle, stored with every row it classifies.
    - `review_below` (float, 0 to 1): confidence below which the user should review a prediction.
    - `calibration`: corrects the engine's confidence by the kind of evidence.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        engine: Engine,
        *,
        version: str,
        review_below: float,
        calibration: Calibration = UNCHANGED,
    ) -> None:
        self.version: Final = version
        self.review_below: Final = review_below
        self._encoder = NameEncoder(vocabulary, engine, calibration.learned)
        self._engine = engine
        self._calibration = calibration

    def known_words(self, tokens: Sequence[str], category: int) -> list[str]:
        """Return the known words among a name's tokens that indicate the category of this index."""
        return indicated_categories(tuple(tokens), self._calibration.learned).words_for(category)

    def predict(
        self,
        names: Sequence[str],
        headers: Sequence[AudioHeader],
        pack_mates: Sequence[PackMates | None] | None = None,
    ) -> Probabilities:
        """Return the probability of each category for each sound, independent of its batch.

        - `names`: base names. Folders before the last ``/`` are ignored.
        - `pack_mates`: None where the names of a sound's folder are not known.

        Raises UnknownSampleTypeError: a header with a subtype that libsndfile does not list.
        Raises ValueError: the arguments differ in length.
        """
        return self.predict_detailed(names, header_matrix(headers), pack_mates).probabilities

    def predict_detailed(
        self,
        names: Sequence[str],
        headers: HeaderMatrix,
        pack_mates: Sequence[PackMates | None] | None = None,
    ) -> DetailedPredictions:
        """Predict as `predict` does, and keep the intermediate predictions."""
        pack_mates = [None] * len(names) if pack_mates is None else pack_mates
        if not len(names) == len(headers) == len(pack_mates):
            raise ValueError(
                f"{len(names)} names, {len(headers)} headers and pack-mates of {len(pack_mates)} "
                "sounds; expected equal numbers"
            )
        shape = (len(names), N_CATEGORIES)
        detailed = DetailedPredictions(
            probabilities=np.zeros(shape, np.float32),
            by_name=np.zeros(shape, np.float32),
            by_pack_mates=np.zeros(shape, np.float32),
            tokens=np.zeros((len(names), 2), np.int64),
            kinds=np.zeros(len(names), np.int64),
        )
        for start in range(0, len(names), MOST_ROWS):
            rows = slice(start, start + MOST_ROWS)
            tokens = self._encoder.tokens(names[rows], pack_mates[rows])
            ids = self._encoder.token_ids(tokens)
            summary = self._encoder.summaries(pack_mates[rows])
            probabilities, logs = self._engine.predict(ids, summary, headers[rows])
            best = probabilities.argmax(axis=1)
            words = word_counts(tokens, self._calibration.learned)
            kinds = kinds_of(best, words, summary.words)
            detailed.probabilities[rows] = self._calibration.applied(probabilities, kinds)
            detailed.kinds[rows] = kinds
            unknown = PackMateSummary.unknown(len(logs))
            detailed.by_name[rows] = mean_over_lstms(pooled(logs, unknown))
            detailed.by_pack_mates[rows] = mean_over_lstms(pooled(logs, summary))
            detailed.tokens[rows] = token_counts(ids)
        return detailed
