"""A loaded model: names and headers in, probabilities of the twelve categories out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.categories import N_CATEGORIES
from classifier.headers.reader import AudioHeader
from classifier.model.encoder import MOST_ROWS, NameEncoder
from classifier.model.engines import Engine
from classifier.model.header_features import header_matrix
from classifier.model.pooling import PackMateSummary, mean_over_lstms, pooled
from classifier.model.vocabulary import Vocabulary, token_counts
from classifier.names.pack_mates import PackMates


@dataclass(frozen=True)
class Answers:
    """What a classifier predicts for sounds, and what the LSTMs alone would predict.

    Attributes
    ----------
    probabilities : ndarray of shape (n_sounds, 12), float32
        The prediction, in the order of `CATEGORIES`.
    by_name : ndarray of shape (n_sounds, 12), float32
        The LSTMs' prediction from the name alone.
    by_pack_mates : ndarray of shape (n_sounds, 12), float32
        Their prediction from the name and its pack-mates' names.
    tokens : ndarray of shape (n_sounds, 2), int64
        How many tokens of each name were read, and how many of these the model does not know.
    """

    probabilities: NDArray[np.float32]
    by_name: NDArray[np.float32]
    by_pack_mates: NDArray[np.float32]
    tokens: NDArray[np.int64]


class Classifier:
    """A model loaded into an engine. Not shared between processes.

    Parameters
    ----------
    version : str
        Version of the bundle, stored with every row it classifies.
    review_below : float, 0 to 1
        Confidence below which the user should review a prediction.
    """

    def __init__(
        self, vocabulary: Vocabulary, engine: Engine, *, version: str, review_below: float
    ) -> None:
        self.version: Final = version
        self.review_below: Final = review_below
        self._encoder = NameEncoder(vocabulary, engine)
        self._engine = engine

    def predict(
        self,
        names: Sequence[str],
        headers: Sequence[AudioHeader],
        pack_mates: Sequence[PackMates | None] | None = None,
    ) -> NDArray[np.float32]:
        """Return the probability of each category for each sound.

        Parameters
        ----------
        names : sequence of str, length n_sounds
            Base names. Folders before the last ``/`` are ignored.
        pack_mates : sequence of PackMates or None, length n_sounds, optional
            None where the names of a sound's folder are not known.

        Returns
        -------
        ndarray of shape (n_sounds, 12), float32
            In the order of `CATEGORIES`. A row does not depend on the others of its batch.

        Raises
        ------
        UnknownSampleTypeError
            A header with a subtype that libsndfile does not list.
        ValueError
            Not one header per name.
        """
        return self.answers(names, header_matrix(headers), pack_mates).probabilities

    def answers(
        self,
        names: Sequence[str],
        headers: NDArray[np.float32],
        pack_mates: Sequence[PackMates | None] | None = None,
    ) -> Answers:
        """Predict as `predict` does, and keep the intermediate predictions.

        Parameters
        ----------
        headers : ndarray of shape (n_sounds, 6), float32
            From `header_features.header_matrix`.

        Raises
        ------
        ValueError
            Not one header, or not one entry of pack-mates, per name.
        """
        pack_mates = [None] * len(names) if pack_mates is None else pack_mates
        if not len(names) == len(headers) == len(pack_mates):
            raise ValueError(
                f"{len(names)} names, {len(headers)} headers and pack-mates of {len(pack_mates)} "
                "sounds: expected as many"
            )
        shape = (len(names), N_CATEGORIES)
        answers = Answers(
            probabilities=np.zeros(shape, np.float32),
            by_name=np.zeros(shape, np.float32),
            by_pack_mates=np.zeros(shape, np.float32),
            tokens=np.zeros((len(names), 2), np.int64),
        )
        for start in range(0, len(names), MOST_ROWS):
            rows = slice(start, start + MOST_ROWS)
            ids = self._encoder.token_ids(names[rows], pack_mates[rows])
            summary = self._encoder.summaries(pack_mates[rows])
            probabilities, logs = self._engine.answers(ids, summary, headers[rows])
            answers.probabilities[rows] = probabilities
            unknown = PackMateSummary.unknown(len(logs))
            answers.by_name[rows] = mean_over_lstms(pooled(logs, unknown))
            answers.by_pack_mates[rows] = mean_over_lstms(pooled(logs, summary))
            answers.tokens[rows] = token_counts(ids)
        return answers
