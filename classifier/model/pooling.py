"""Pool the LSTMs' predictions for a name with those for its pack-mates' names.

Two LSTMs read a name: the *general* one was trained on generated names and never on labels, the
*learned* one continues from it with the labels (decision 22). Each one's prediction for a sound is
pooled with its predictions for the sound's pack-mates, as a weighted mean of logarithms.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from classifier.categories import N_CATEGORIES
from classifier.model.arrays import N_WORD_COUNTS, ByLstm, Probabilities, WordCounts

#: LSTMs that read a name, and the columns of their joined predictions.
N_LSTMS: Final = 2
N_NAME_LOGS: Final = N_LSTMS * N_CATEGORIES

#: Added to a probability before its logarithm, so that one pack-mate that is certain and wrong does
#: not outweigh all others.
PROBABILITY_FLOOR: Final = 0.02

#: Weight of the pack-mates (including the sound) against its own name; the second weight applies if
#: they contradict each other or the name. Decision 22 has figures for other weights.
PACK_MATES_WEIGHT: Final = 0.7
CONTRADICTED_WEIGHT: Final = 0.2

#: A name is confident if the general LSTM gives a category more than this probability.
CONFIDENT_FROM: Final = 0.7

#: A folder is mixed if no category has this share of its confident names. In any folder, the
#: pack-mates do not outvote a confident name whose category has a share from `MINORITY_SHARE` up to
#: this one.
MAJORITY_SHARE: Final = 0.5
MINORITY_SHARE: Final = 0.2

#: `CONFIDENT_FROM` on the scale of `name_logs`.
CONFIDENT_LOG: Final = np.float32(np.log(np.float32(CONFIDENT_FROM + PROBABILITY_FLOOR)))


def name_logs(general: Probabilities, learned: Probabilities) -> ByLstm:
    """Join both LSTMs' predictions for names, as logarithms."""
    joined = np.concatenate([general, learned], axis=1, dtype=np.float32)
    return np.asarray(np.log(joined + np.float32(PROBABILITY_FLOOR)), np.float32)


class PackMateSummary(NamedTuple):
    """The LSTMs' predictions for the pack-mates of sounds, a row per sound."""

    #: The mean of `name_logs` over each sound's pack-mates; NaN where they are not known.
    logs: ByLstm
    #: `confident_shares` of them, shape (n_sounds, 12), float32; ones where they are not known.
    shares: NDArray[np.float32]
    #: The `WordCounts` of each sound's pack-mates; zeros where they are not known.
    words: WordCounts

    @classmethod
    def unknown(cls, n_sounds: int) -> "PackMateSummary":
        """Return the summary of sounds whose pack-mates are not known."""
        return cls(
            np.full((n_sounds, N_NAME_LOGS), np.nan, dtype=np.float32),
            np.ones((n_sounds, N_CATEGORIES), dtype=np.float32),
            np.zeros((n_sounds, N_WORD_COUNTS), dtype=np.float32),
        )


def confident_shares(logs: ByLstm) -> NDArray[np.float32]:
    """Return the share of each category in the confident names of one folder, shape (12,).

    All ones where fewer than two names are confident (no disagreement to measure).
    """
    general = logs[:, :N_CATEGORIES]
    is_confident = general.max(axis=1) > CONFIDENT_LOG
    counts = np.bincount(general[is_confident].argmax(axis=1), minlength=N_CATEGORIES)
    if counts.sum() < 2:
        return np.ones(N_CATEGORIES, dtype=np.float32)
    return np.asarray(counts / counts.sum(), dtype=np.float32)


def pack_mate_weights(logs: ByLstm, shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much each sound's pack-mates count against its own name, shape (n_sounds, 1).

    This is `PACK_MATES_WEIGHT`, but `CONTRADICTED_WEIGHT` in a mixed folder, and for a confident
    name whose category has at least a fifth, but not half, of the confident names. `shares` are
    those of `PackMateSummary`.
    """
    general = logs[:, :N_CATEGORIES]
    top = general.max(axis=1, keepdims=True)
    own_share = (shares * (general == top)).max(axis=1, keepdims=True)
    is_mixed = shares.max(axis=1, keepdims=True) < np.float32(MAJORITY_SHARE)
    is_minority = (
        (top > CONFIDENT_LOG)
        & (own_share >= np.float32(MINORITY_SHARE))
        & (own_share < np.float32(MAJORITY_SHARE))
    )
    weights = np.where(is_mixed | is_minority, CONTRADICTED_WEIGHT, PACK_MATES_WEIGHT)
    return weights.astype(np.float32)


def pooled(logs: ByLstm, pack_mates: PackMateSummary) -> ByLstm:
    """Pool the predictions for each sound's own name with those for its pack-mates.

    Returns probabilities, twelve for each LSTM that sum to 1: the weighted geometric mean, known as
    logarithmic opinion pool (Genest & Zidek 1986).
    """
    mean_logs = np.where(np.isnan(pack_mates.logs), logs, pack_mates.logs)
    weights = pack_mate_weights(logs, pack_mates.shares)
    raised = np.exp((np.float32(1.0) - weights) * logs + weights * mean_logs)
    parts = raised.reshape(len(logs), N_LSTMS, N_CATEGORIES)
    return np.asarray((parts / parts.sum(axis=2, keepdims=True)).reshape(logs.shape), np.float32)


def mean_over_lstms(pooled_probabilities: ByLstm) -> Probabilities:
    """Return the mean of both LSTMs' pooled predictions."""
    by_lstm = pooled_probabilities.reshape(len(pooled_probabilities), N_LSTMS, N_CATEGORIES)
    return np.asarray(by_lstm.mean(axis=1, dtype=np.float32), np.float32)
