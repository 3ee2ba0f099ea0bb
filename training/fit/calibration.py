"""Calibration: the temperature of a model's confidence, and the threshold for review."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.fit.reliability import lowest_confidence

#: Beyond these a model is broken rather than badly calibrated, or there were too few sounds.
LOWEST_TEMPERATURE: Final = 0.25
HIGHEST_TEMPERATURE: Final = 4.0

#: A forest gives exact zeros, which have no logarithm.
_PROBABILITY_FLOOR: Final = 1e-3

_TEMPERATURES: Final = 200

#: This share of the predictions above the threshold is to be right.
REVIEWED_PRECISION: Final = 0.95

#: Every prediction but a certain one is below this threshold.
ALWAYS_REVIEW: Final = 1.0


def fit_temperature(
    category_indices: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    weights: NDArray[np.float64],
) -> float:
    """Find the temperature that makes the truth most likely (Guo et al. 2017).

    It is above 1 where the models were too sure, and between the two bounds. The grid is even in
    its logarithm and finer (1.4 %) than a thousand sounds can tell apart.

    Parameters
    ----------
    category_indices : ndarray of shape (n_sounds,), int64
        The truth.
    probabilities : ndarray of shape (n_sounds, 12), float32
        Of models that had not seen these sounds, nor, where possible, their vendors.
    weights : ndarray of shape (n_sounds,), float64
    """
    logs = np.log(np.maximum(probabilities.astype(np.float64), _PROBABILITY_FLOOR))
    grid = np.geomspace(LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE, _TEMPERATURES)
    losses = [_loss(logs / temperature, category_indices, weights) for temperature in grid]
    return float(grid[int(np.argmin(losses))])


def review_threshold(
    category_indices: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> float:
    """Find the confidence below which predictions need a review.

    It is the lowest one with `REVIEWED_PRECISION` of the predictions from it on right, and
    `ALWAYS_REVIEW` where there is none.

    Parameters
    ----------
    category_indices : ndarray of shape (n_sounds,), int64
        The truth.
    probabilities : ndarray of shape (n_sounds, 12), float32
        Calibrated, of models that had not seen these sounds.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    is_right = probabilities.argmax(axis=1) == category_indices
    lowest = lowest_confidence(confidence, is_right, REVIEWED_PRECISION)
    return ALWAYS_REVIEW if lowest is None else lowest


def _loss(
    logits: NDArray[np.float64], truth: NDArray[np.int64], weights: NDArray[np.float64]
) -> float:
    """Return the weighted negative log likelihood of the truth."""
    highest = logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(logits - highest).sum(axis=1)) + highest[:, 0]
    return float((weights * (log_sums - logits[np.arange(len(truth)), truth])).sum())
