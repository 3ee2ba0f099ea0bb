"""The metrics of a model that every report shows."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from classifier.categories import CATEGORIES, N_CATEGORIES
from training.fit.reliability import (
    ReliabilityBin,
    calibration_error,
    coverage_at_precision,
    reliability_bins,
)


@dataclass(frozen=True)
class CategoryScore:
    """Metrics of one category; precision is 0 if it was never predicted."""

    category: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Evaluation:
    """Metrics over a set of test rows.

    Macro metrics are means over the categories *present* in the test rows. A present category that
    was never predicted counts as 0; an absent one is left out. Weighted metrics weight each
    category by its sounds. `top3_accuracy` is the share of sounds whose true category is among the
    three most probable. `calibration_error` is the expected calibration error over `reliability`.
    `categories` holds the present categories in the order of `CATEGORIES`. ``confusion[i][j]``
    counts the sounds of category i that were predicted as j.
    """

    n_sounds: int
    accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    weighted_precision: float
    weighted_recall: float
    weighted_f1: float
    top3_accuracy: float
    coverage_at_95_precision: float
    calibration_error: float
    reliability: tuple[ReliabilityBin, ...]
    categories: tuple[CategoryScore, ...]
    confusion: tuple[tuple[int, ...], ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the metrics as JSON values."""
        return asdict(self)


def evaluate(category_indices: NDArray[np.int64], probabilities: NDArray[np.float32]) -> Evaluation:
    """Compare the most probable categories with the true ones; raises `ValueError` for no rows.

    Parameters
    ----------
    category_indices : ndarray of shape (n_sounds,), int64
        The true categories, as indices into `CATEGORIES`.
    probabilities : ndarray of shape (n_sounds, 12), float32
    """
    if not len(category_indices):
        raise ValueError("no rows to evaluate")
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(
        category_indices, predicted, labels=range(N_CATEGORIES), zero_division=0
    )
    present = np.flatnonzero(support)
    confidence = probabilities.max(axis=1).astype(np.float64)
    is_right = predicted == category_indices
    best_three = np.argsort(-probabilities, axis=1, kind="stable")[:, :3]
    bins = reliability_bins(confidence, is_right)
    return Evaluation(
        n_sounds=len(category_indices),
        accuracy=float(is_right.mean()),
        macro_precision=float(precision[present].mean()),
        macro_recall=float(recall[present].mean()),
        macro_f1=float(f1[present].mean()),
        weighted_precision=float(np.average(precision, weights=support)),
        weighted_recall=float(np.average(recall, weights=support)),
        weighted_f1=float(np.average(f1, weights=support)),
        top3_accuracy=float((best_three == category_indices[:, None]).any(axis=1).mean()),
        coverage_at_95_precision=coverage_at_precision(confidence, is_right, 0.95),
        calibration_error=calibration_error(bins),
        reliability=bins,
        categories=tuple(
            CategoryScore(
                CATEGORIES[i], float(precision[i]), float(recall[i]), float(f1[i]), int(support[i])
            )
            for i in present
        ),
        confusion=tuple(
            tuple(row)
            for row in confusion_matrix(
                category_indices, predicted, labels=range(N_CATEGORIES)
            ).tolist()
        ),
    )
