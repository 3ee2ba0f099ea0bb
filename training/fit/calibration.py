"""Calibration: temperatures by kind of evidence, and the one threshold for review (decision 34)."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.categories import N_CATEGORIES
from classifier.model.confidence import Calibration, KindCalibration
from classifier.model.evidence import KINDS, Evidence
from classifier.model.forest import calibrated
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

#: Where no threshold gives that, or too few predictions would be above it, the next of these is
#: tried. The last is still better than to review everything.
_PRECISIONS: Final = (REVIEWED_PRECISION, 0.94, 0.93, 0.92, 0.91, 0.90)
_FEWEST_UNREVIEWED: Final = 0.5

#: No threshold is lower: what is about as likely wrong as right is worth a look, however many of
#: the others are right.
LOWEST_THRESHOLD: Final = 0.6

#: Predictions with one kind of evidence that show how sure to be of others.
FEWEST_OF_A_KIND: Final = 50

#: The highest confidence of predictions that all need a review, below the threshold.
_BELOW_THRESHOLD: Final = 0.999

_UNIFORM: Final = 1.0 / N_CATEGORIES


def fit_calibration(
    category_indices: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    kinds: NDArray[np.int64],
    weights: NDArray[np.float64],
    prior: Calibration | None = None,
) -> tuple[Calibration, float]:
    """Return the calibration by kind of evidence, and the confidence below which to review.

    The threshold is that of names whose words speak for the category; from it on
    `REVIEWED_PRECISION` of the predictions are right. A kind of evidence that is right less often
    is trusted less, so that the threshold holds for it, too; predictions that no evidence supports
    stay below it. A kind with few predictions is calibrated as in `prior`.

    Parameters
    ----------
    category_indices : ndarray of shape (n_predictions,), int64
        The truth.
    probabilities : ndarray of shape (n_predictions, 12), float32
        Of models that had not seen these sounds, nor, where possible, their vendors.
    kinds : ndarray of shape (n_predictions,), int64
        Indices of `evidence.KINDS`.
    weights : ndarray of shape (n_predictions,), float64
    """
    temperature = fit_temperature(category_indices, probabilities, weights)
    over_all = calibrated(probabilities, temperature)
    of_kind = {kind: kinds == index for index, kind in enumerate(KINDS)}
    enough = {kind: rows for kind, rows in of_kind.items() if rows.sum() >= FEWEST_OF_A_KIND}
    by_kind = {} if prior is None else dict(prior.by_kind)
    for kind, rows in enough.items():
        of_rows = fit_temperature(category_indices[rows], over_all[rows], weights[rows])
        by_kind[kind] = KindCalibration(of_rows)
    found = Calibration(temperature, by_kind).applied(over_all, kinds)
    named = enough.get(Evidence.NAME, np.ones(len(kinds), dtype=np.bool_))
    threshold = review_threshold(category_indices[named], found[named])
    review_below = max(threshold, LOWEST_THRESHOLD)
    for kind, rows in enough.items():
        trust = _trust(kind, category_indices[rows], found[rows], review_below)
        by_kind[kind] = KindCalibration(by_kind[kind].temperature, trust)
    return Calibration(temperature, by_kind), review_below


def _trust(
    kind: Evidence,
    category_indices: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    review_below: float,
) -> float:
    """Return how far to trust predictions of a kind so that the threshold holds for them."""
    threshold = ALWAYS_REVIEW
    if kind in (Evidence.NAME, Evidence.PACK_MATES):
        threshold = review_threshold(category_indices, probabilities)
    if threshold <= review_below:
        return 1.0
    if threshold >= ALWAYS_REVIEW:
        review_below *= _BELOW_THRESHOLD
    return (review_below - _UNIFORM) / (threshold - _UNIFORM)


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

    It is the lowest one with `REVIEWED_PRECISION` of the predictions from it on right; where less
    than half of them are, the lowest with the next of `_PRECISIONS`; else `ALWAYS_REVIEW`.

    Parameters
    ----------
    category_indices : ndarray of shape (n_sounds,), int64
        The truth.
    probabilities : ndarray of shape (n_sounds, 12), float32
        Calibrated, of models that had not seen these sounds.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    is_right = probabilities.argmax(axis=1) == category_indices
    for precision in _PRECISIONS:
        lowest = lowest_confidence(confidence, is_right, precision)
        if lowest is not None and (confidence >= lowest).mean() >= _FEWEST_UNREVIEWED:
            return lowest
    return ALWAYS_REVIEW


def _loss(
    logits: NDArray[np.float64], truth: NDArray[np.int64], weights: NDArray[np.float64]
) -> float:
    """Return the weighted negative log likelihood of the truth."""
    highest = logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(logits - highest).sum(axis=1)) + highest[:, 0]
    return float((weights * (log_sums - logits[np.arange(len(truth)), truth])).sum())
