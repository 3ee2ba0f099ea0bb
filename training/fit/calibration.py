"""How sure a model may be: what its confidence means, and from which on nobody need look."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.fit.reliability import lowest_confidence

#: Beyond these a model is not badly calibrated but broken, or was asked about too few sounds.
LOWEST_TEMPERATURE: Final = 0.25
HIGHEST_TEMPERATURE: Final = 4.0

#: A forest gives exact zeros; a category it never thought of counts as this unlikely.
_UNTHOUGHT: Final = 1e-3

_TEMPERATURES: Final = 200

#: Of the answers that nobody is asked to review, so many are to be right.
REVIEWED_PRECISION: Final = 0.95

#: A threshold that every answer but a certain one stays below.
NEVER_SURE: Final = 1.0


def fit_temperature(
    category_indices: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    weights: NDArray[np.float64],
) -> float:
    """Find the temperature that makes the truth most likely (Guo et al. 2017).

    Parameters
    ----------
    category_indices : ndarray of shape (n_sounds,), int64
        The truth.
    probabilities : ndarray of shape (n_sounds, 12), float32
        Of models that had not seen these sounds, nor, where possible, their vendors.
    weights : ndarray of shape (n_sounds,), float64

    Returns
    -------
    float
        Above 1 where the models were too sure; between the two bounds. The grid is even in its
        logarithm and finer (1.4 %) than a thousand sounds can tell apart.
    """
    logs = np.log(np.maximum(probabilities.astype(np.float64), _UNTHOUGHT))
    grid = np.geomspace(LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE, _TEMPERATURES)
    losses = [_loss(logs / temperature, category_indices, weights) for temperature in grid]
    return float(grid[int(np.argmin(losses))])


def review_threshold(
    category_indices: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> float:
    """Find the lowest confidence that is right often enough to be left alone.

    Parameters
    ----------
    category_indices : ndarray of shape (n_sounds,), int64
        The truth.
    probabilities : ndarray of shape (n_sounds, 12), float32
        Calibrated, of models that had not seen these sounds.

    Returns
    -------
    float
        Of the answers at least this sure together, `REVIEWED_PRECISION` are right; of as many
        answers as can be. `NEVER_SURE` where that holds of none.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    is_right = probabilities.argmax(axis=1) == category_indices
    lowest = lowest_confidence(confidence, is_right, REVIEWED_PRECISION)
    return NEVER_SURE if lowest is None else lowest


def _loss(
    logits: NDArray[np.float64], truth: NDArray[np.int64], weights: NDArray[np.float64]
) -> float:
    """Return the weighted negative log likelihood of the truth."""
    highest = logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(logits - highest).sum(axis=1)) + highest[:, 0]
    return float((weights * (log_sums - logits[np.arange(len(truth)), truth])).sum())
