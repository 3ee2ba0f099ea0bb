"""Findings of a study per sound and vendor: predictions, accuracy, labels that may be wrong."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.categories import CATEGORIES, N_CATEGORIES
from training.data.dataset import LabelledSounds, displayed
from training.evaluation.confident_errors import without_numbers
from training.evaluation.experiment import SystemResult

_MOST_SUSPECTED: Final = 40

Results = Sequence[SystemResult]


@dataclass(frozen=True)
class VendorAccuracy:
    """Each system's accuracy on the sounds of a vendor, by the system's name."""

    vendor: str
    sounds: int
    accuracy: dict[str, float]


@dataclass(frozen=True)
class SuspectedLabel:
    """A sound whose label may be wrong: our system confidently predicts another category, `answer`.

    `agreeing` is the number of other systems with the same prediction. `alike` counts suspected
    sounds of the vendor, including this one, whose names differ only by numbers.
    """

    name: str
    vendor: str
    label: str
    answer: str
    confidence: float
    agreeing: int
    alike: int


def vendor_accuracies(sounds: LabelledSounds, results: Results) -> tuple[VendorAccuracy, ...]:
    """Return the accuracy on each vendor's sounds, the largest vendor first."""
    tested = sounds.take(results[0].tested)
    names, vendor = np.unique(tested.vendors.astype(str), return_inverse=True)
    counts = np.bincount(vendor)
    shares = {
        result.system.name: np.bincount(
            vendor, result.probabilities.argmax(axis=1) == tested.category_indices
        )
        / counts
        for result in results
    }
    return tuple(
        VendorAccuracy(
            displayed(names[i]),
            int(counts[i]),
            {name: float(share[i]) for name, share in shares.items()},
        )
        for i in np.argsort(-counts, kind="stable")
    )


def suspected_labels(
    sounds: LabelledSounds, results: Results, name_only: SystemResult
) -> tuple[SuspectedLabel, ...]:
    """Return the sounds whose labels may be wrong, the most suspicious first.

    The rule follows confident learning (Northcutt et al. 2021). Our system (the last of `results`),
    which has not learned the sound, must predict another category with at least its mean confidence
    for sounds with that label. The predictions from names alone (`name_only`) must do so, too,
    because other names of the folder may mislead the system.
    """
    tested = sounds.take(results[-1].tested)
    truth, predicted = tested.category_indices, results[-1].probabilities.argmax(axis=1)
    confidence = results[-1].probabilities.max(axis=1)
    suspect = predicted != truth
    for probabilities in (results[-1].probabilities, name_only.probabilities):
        suspect &= probabilities.argmax(axis=1) == predicted
        suspect &= probabilities.max(axis=1) >= _usual_confidence(probabilities, truth)[predicted]
    agreeing = np.sum(
        [result.probabilities.argmax(axis=1) == predicted for result in results[:-1]], axis=0
    )
    rows = np.flatnonzero(suspect)
    alike: dict[tuple[object, ...], list[int]] = {}
    for row in rows[np.lexsort((-confidence[rows], -agreeing[rows]))].tolist():
        stem = without_numbers(tested.names[row])
        key = (tested.vendors[row], stem, truth[row], predicted[row])
        alike.setdefault(key, []).append(row)
    groups = list(alike.values())[:_MOST_SUSPECTED]
    return tuple(
        SuspectedLabel(
            displayed(tested.names[row]),
            displayed(tested.vendors[row]),
            CATEGORIES[truth[row]],
            CATEGORIES[predicted[row]],
            float(confidence[row]),
            int(agreeing[row]),
            len(group),
        )
        for group in groups
        for row in group[:1]
    )


def _usual_confidence(
    probabilities: NDArray[np.float32], truth: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the mean probability of each category over the sounds with that label, shape (12,)."""
    counts = np.bincount(truth, minlength=N_CATEGORIES)
    of_truth = probabilities[np.arange(len(truth)), truth]
    sums = np.bincount(truth, weights=of_truth, minlength=N_CATEGORIES)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)


def prediction_columns(results: Results) -> list[str]:
    """Return the column names of `prediction_rows`."""
    systems = [result.system.name for result in results]
    predicted = [column for name in systems for column in (name, f"{name}_confidence")]
    return ["split", "fold", "file", "vendor", "truth", *predicted]


def prediction_rows(
    sounds: LabelledSounds, splits: Mapping[str, Results]
) -> Iterator[dict[str, str | int]]:
    """Yield a row for each tested sound: its true category and each system's prediction."""
    for split, results in splits.items():
        if not results:
            continue
        tested = sounds.take(results[0].tested)
        for row in range(len(tested)):
            cells: dict[str, str | int] = {
                "split": split,
                "fold": int(results[0].split_of[row]) + 1,
                "file": str(tested.names[row]),
                "vendor": str(tested.vendors[row]),
                "truth": CATEGORIES[tested.category_indices[row]],
            }
            for result in results:
                best = int(result.probabilities[row].argmax())
                cells[result.system.name] = CATEGORIES[best]
                cells[f"{result.system.name}_confidence"] = f"{result.probabilities[row, best]:.4f}"
            yield cells
