"""Calibration: one temperature per kind of evidence and one review threshold (decision 34)."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.categories import N_CATEGORIES
from classifier.model.confidence import Calibration, KindCalibration
from classifier.model.evidence import KINDS, Evidence
from classifier.model.forest import calibrated
from training.fit.reliability import lowest_confidence

#: Bounds of a temperature. One outside them means a broken model or too few sounds.
LOWEST_TEMPERATURE: Final = 0.25
HIGHEST_TEMPERATURE: Final = 4.0

#: A forest returns exact zeros, which have no logarithm.
_PROBABILITY_FLOOR: Final = 1e-3

_TEMPERATURES: Final = 200

#: Share of the predictions above the threshold that should be right.
REVIEWED_PRECISION: Final = 0.95

#: Every prediction with a confidence below 1 is below this threshold.
ALWAYS_REVIEW: Final = 1.0

#: Precisions to try in order, if no threshold reaches one or too few predictions would be above
#: the threshold. Even the last is better than having to review everything.
_PRECISIONS: Final = (REVIEWED_PRECISION, 0.94, 0.93, 0.92, 0.91, 0.90)
_FEWEST_UNREVIEWED: Final = 0.5

#: Lowest threshold. A prediction that is about as likely wrong as right needs a review, even if
#: most predictions are right.
LOWEST_THRESHOLD: Final = 0.6

#: Fewest predictions with a kind of evidence for which the kind is calibrated separately.
FEWEST_OF_A_KIND: Final = 50

#: If all predictions of a kind need a review, their highest confidence as a share of the threshold.
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

    The threshold is fitted on predictions with the evidence `NAME` (on all if these are too few),
    so that `REVIEWED_PRECISION` of the predictions above it are right. Kinds of evidence that are
    right less often get a lower `trust`, so that the same threshold holds for them. Predictions
    that no evidence supports stay below it. A kind with fewer than `FEWEST_OF_A_KIND` predictions
    keeps its calibration from `prior`.

    Parameters
    ----------
    category_indices : ndarray of shape (n_predictions,), int64
        The true categories.
    probabilities : ndarray of shape (n_predictions, 12), float32
        From models that had not seen these sounds, nor, where possible, their vendors.
    kinds : ndarray of shape (n_predictions,), int64
        Indices into `evidence.KINDS`.
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
    calibrated_by_kind = Calibration(temperature, by_kind).applied(over_all, kinds)
    named = enough.get(Evidence.NAME, np.ones(len(kinds), dtype=np.bool_))
    threshold = review_threshold(category_indices[named], calibrated_by_kind[named])
    review_below = max(threshold, LOWEST_THRESHOLD)
    for kind, rows in enough.items():
        trust = _trust(kind, category_indices[rows], calibrated_by_kind[rows], review_below)
        by_kind[kind] = KindCalibration(by_kind[kind].temperature, trust)
    return Calibration(temperature, by_kind), review_below


def _trust(
    kind: Evidence,
    category_indices: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    review_below: float,
) -> float:
    """Return the `KindCalibration.trust` with which the threshold also holds for a kind."""
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
    """Find the temperature that makes the true categories most likely (Guo et al. 2017).

    The temperature is above 1 if the models were overconfident. It is searched between the two
    bounds on a logarithmic grid with steps of 1.4 %, finer than a thousand sounds can distinguish.

    Parameters
    ----------
    category_indices : ndarray of shape (n_sounds,), int64
        The true categories.
    probabilities : ndarray of shape (n_sounds, 12), float32
        From models that had not seen these sounds, nor, where possible, their vendors.
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

    This is the lowest confidence at which `REVIEWED_PRECISION` of the predictions at or above it
    are right. If fewer than half of all predictions reach it, the next of `_PRECISIONS` is tried.
    Returns `ALWAYS_REVIEW` if none of them works.

    Parameters
    ----------
    category_indices : ndarray of shape (n_sounds,), int64
        The true categories.
    probabilities : ndarray of shape (n_sounds, 12), float32
        Calibrated, from models that had not seen these sounds.
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
    """Return the weighted negative log likelihood of the true categories."""
    highest = logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(logits - highest).sum(axis=1)) + highest[:, 0]
    return float((weights * (log_sums - logits[np.arange(len(truth)), truth])).sum())
