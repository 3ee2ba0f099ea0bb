"""How well confidence matches accuracy, and the share of sounds above a confidence threshold."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.model.confidence import needs_review
from classifier.model.evidence import KINDS

#: Number of bins of equal width; as in Guo et al. (2017), so that results are comparable.
N_BINS: Final = 15


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions with ``lower < confidence <= upper``; `confidence` and `accuracy` are means."""

    lower: float
    upper: float
    n_sounds: int
    confidence: float
    accuracy: float


def reliability_bins(
    confidence: NDArray[np.float64], is_right: NDArray[np.bool_]
) -> tuple[ReliabilityBin, ...]:
    """Group predictions by confidence; empty bins are left out.

    Parameters
    ----------
    confidence : ndarray of shape (n_sounds,), float64
        The highest probability of each prediction.
    is_right : ndarray of shape (n_sounds,), bool
    """
    of_bin = np.clip(np.ceil(confidence * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)
    return tuple(
        ReliabilityBin(
            lower=i / N_BINS,
            upper=(i + 1) / N_BINS,
            n_sounds=int((of_bin == i).sum()),
            confidence=float(confidence[of_bin == i].mean()),
            accuracy=float(is_right[of_bin == i].mean()),
        )
        for i in np.unique(of_bin).tolist()
    )


def calibration_error(bins: tuple[ReliabilityBin, ...]) -> float:
    """Return the expected calibration error (Naeini et al. 2015).

    It is the mean difference between accuracy and confidence, weighted by the sounds of each bin.
    """
    total = sum(part.n_sounds for part in bins)
    return sum(part.n_sounds * abs(part.accuracy - part.confidence) for part in bins) / total


@dataclass(frozen=True)
class KindReliability:
    """Accuracy of the predictions with one kind of evidence, and of those that need no review."""

    evidence: str
    n_sounds: int
    confidence: float
    accuracy: float
    n_unreviewed: int
    #: None if all predictions need a review.
    unreviewed_accuracy: float | None


def reliability_by_kind(
    category_indices: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    kinds: NDArray[np.int64],
    *,
    review_below: float,
) -> list[KindReliability]:
    """Return the reliability of each kind of evidence that occurs.

    Parameters
    ----------
    category_indices : ndarray of shape (n_sounds,), int64
        The true categories.
    probabilities : ndarray of shape (n_sounds, 12), float32
        Calibrated.
    kinds : ndarray of shape (n_sounds,), int64
        Indices into `classifier.model.evidence.KINDS`.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    is_right = probabilities.argmax(axis=1) == category_indices
    by_kind = []
    for index in np.unique(kinds).tolist():
        rows = kinds == index
        unreviewed = rows & ~needs_review(kinds, confidence, review_below)
        by_kind.append(
            KindReliability(
                str(KINDS[index]),
                int(rows.sum()),
                float(confidence[rows].mean()),
                float(is_right[rows].mean()),
                int(unreviewed.sum()),
                float(is_right[unreviewed].mean()) if unreviewed.any() else None,
            )
        )
    return by_kind


def lowest_confidence(
    confidence: NDArray[np.float64], is_right: NDArray[np.bool_], precision: float
) -> float | None:
    """Return the lowest threshold at which a share of `precision` is right; None if there is none.

    The share is taken over the predictions at or above the threshold. Predictions of equal
    confidence are included together, because no threshold separates them. The arrays are as for
    `reliability_bins`.
    """
    order = np.argsort(-confidence, kind="stable")
    surest_first = confidence[order]
    ranks = np.arange(1, len(order) + 1)
    is_last_of_equals = np.append(np.diff(surest_first) != 0, True)
    enough = (np.cumsum(is_right[order]) >= precision * ranks - 1e-9) & is_last_of_equals
    return float(surest_first[enough][-1]) if enough.any() else None


def coverage_at_precision(
    confidence: NDArray[np.float64], is_right: NDArray[np.bool_], precision: float
) -> float:
    """Return the share of sounds at or above the `lowest_confidence` for this precision.

    These sounds can be filed without a review. The share is 0 if no threshold has that precision.
    """
    lowest = lowest_confidence(confidence, is_right, precision)
    return 0.0 if lowest is None else float((confidence >= lowest).mean())
