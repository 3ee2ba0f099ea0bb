"""The most confident errors of a model, grouped by true and predicted category."""

import re
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.categories import CATEGORIES
from training.data.dataset import LabelledSounds, displayed

#: Number of the most confident mistakes that are grouped.
N_MOST_CONFIDENT: Final = 50

#: Most examples shown of each kind.
N_EXAMPLES: Final = 3


@dataclass(frozen=True)
class Example:
    """A sound that the model predicted wrongly."""

    name: str
    vendor: str
    confidence: float


@dataclass(frozen=True)
class ErrorKind:
    """Mistakes with the same true category and the same prediction.

    `among_surest` counts them among the `N_MOST_CONFIDENT` most confident mistakes, `in_all` among
    all sounds. If names of one vendor differ only by numbers, `among_surest` counts only one.
    `examples` start with the most confident.
    """

    truth: str
    answer: str
    among_surest: int
    in_all: int
    examples: tuple[Example, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)


def most_confident_errors(
    sounds: LabelledSounds, probabilities: NDArray[np.float32]
) -> tuple[ErrorKind, ...]:
    """Return the kinds of the most confident mistakes, the most frequent kind first.

    Parameters
    ----------
    probabilities : ndarray of shape (n_sounds, 12), float32
    """
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != sounds.category_indices)
    by_confidence = wrong[np.argsort(-confidence[wrong], kind="stable")]
    kinds: dict[tuple[int, int], list[int]] = {}
    for row in _without_similar_names(sounds, by_confidence.tolist())[:N_MOST_CONFIDENT]:
        kinds.setdefault((int(sounds.category_indices[row]), int(predicted[row])), []).append(row)
    by_kind = [
        ErrorKind(
            CATEGORIES[truth],
            CATEGORIES[answer],
            len(rows),
            int(((sounds.category_indices == truth) & (predicted == answer)).sum()),
            tuple(
                Example(
                    displayed(sounds.names[row]),
                    displayed(sounds.vendors[row]),
                    float(confidence[row]),
                )
                for row in rows[:N_EXAMPLES]
            ),
        )
        for (truth, answer), rows in kinds.items()
    ]
    return tuple(sorted(by_kind, key=lambda kind: -kind.among_surest))


def _without_similar_names(sounds: LabelledSounds, rows: list[int]) -> list[int]:
    first: dict[tuple[str, str], int] = {}
    for row in rows:
        first.setdefault((sounds.vendors[row], without_numbers(sounds.names[row])), row)
    return list(first.values())


def without_numbers(name: str) -> str:
    """Return the name without digits: the same for names that differ only by numbers."""
    return re.sub(r"\d+", "", name)
