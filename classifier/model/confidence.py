"""Calibrate the confidence of predictions by the kind of evidence for them.

How often a model's confident predictions are right depends on the kind of evidence
(`classifier.model.evidence`). So each kind has its own calibration, and predictions without
supporting evidence always need review (decision 34).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.categories import CATEGORIES, N_CATEGORIES, category_index
from classifier.model.arrays import N_WORD_COUNTS, Probabilities, WordCounts
from classifier.model.evidence import KINDS, Evidence
from classifier.model.forest import calibrated
from classifier.names.sound_words import LearnedWords, indicated_categories

#: Columns of `WordCounts`.
_NAMES: Final = 0
_KNOWN: Final = 1
_CATEGORIES: Final = slice(2, None)

#: Pack-mates agree if at least this share of those with known words indicates one category. Three
#: or more are evidence against the words of a name, or for a name without known words; in the
#: latter case they must also be half of all.
_AGREEING_SHARE: Final = 0.9
_FEWEST_AGREEING: Final = 3
_LEAST_SHARE: Final = 0.5


def word_counts(names: Sequence[Sequence[str]], learned: LearnedWords = frozenset()) -> WordCounts:
    """Return which categories the words of each name indicate, given the names' tokens."""
    indicated = [indicated_categories(tuple(tokens), learned) for tokens in names]
    counts = np.ones((len(indicated), N_WORD_COUNTS), np.float32)
    counts[:, _KNOWN] = [words.is_known for words in indicated]
    bits = np.array([words.categories if words.is_known else 0 for words in indicated], np.int64)
    counts[:, _CATEGORIES] = bits[:, None] >> np.arange(N_CATEGORIES) & 1
    return counts


def kinds_of(
    categories: NDArray[np.int64], names: WordCounts, folders: WordCounts
) -> NDArray[np.int64]:
    """Return the kind of evidence for the category predicted for each name, as index of `KINDS`.

    `folders` holds zeros where the pack-mates of a name are not known.
    """
    rows = np.arange(len(categories))
    indicated = names[:, _CATEGORIES]
    is_known = names[:, _KNOWN] > 0
    is_indicated = indicated[rows, categories] > 0
    others = np.maximum(folders - names, 0)
    against = np.where(indicated > 0, 0, others[:, _CATEGORIES]).max(axis=1, initial=0)
    is_contradicted_by_mates = (against >= _FEWEST_AGREEING) & (
        against >= _AGREEING_SHARE * others[:, _KNOWN]
    )
    agreeing = folders[:, _CATEGORIES][rows, categories]
    is_indicated_by_mates = (
        (agreeing >= _FEWEST_AGREEING)
        & (agreeing >= _AGREEING_SHARE * folders[:, _KNOWN])
        & (agreeing >= _LEAST_SHARE * folders[:, _NAMES])
    )
    return np.select(
        [
            is_known & is_indicated & ~is_contradicted_by_mates,
            ~is_known & is_indicated_by_mates,
            is_known,
        ],
        [KINDS.index(kind) for kind in KINDS[:3]],
        KINDS.index(Evidence.NONE),
    )


def needs_review(
    kinds: NDArray[np.int64], confidence: NDArray[np.floating[Any]], review_below: float
) -> NDArray[np.bool_]:
    """Return which predictions a user should review: always those without supporting evidence."""
    return np.asarray((confidence < review_below) | (kinds >= KINDS.index(Evidence.CONTRADICTED)))


@dataclass(frozen=True)
class KindCalibration:
    """How the confidence of predictions with one kind of evidence is corrected.

    - `temperature` (float, above 0): see `forest.calibrated`.
    - `trust` (float, 0 to 1): the share of the probabilities that is kept. The rest is spread over
      all categories, which limits the confidence.
    """

    temperature: float = 1.0
    trust: float = 1.0


@dataclass(frozen=True)
class Calibration:
    """The calibration of a model: over all predictions, then by kind of evidence.

    The engines apply `temperature`; bundles before starter-4 have nothing else. `learned` are words
    that count as evidence in addition to the packaged word list.
    """

    temperature: float
    by_kind: Mapping[Evidence, KindCalibration] = field(default_factory=dict)
    learned: LearnedWords = frozenset()

    def applied(self, probabilities: Probabilities, kinds: NDArray[np.int64]) -> Probabilities:
        """Correct an engine's probabilities by kind; the best category stays the same."""
        corrected = probabilities.copy()
        for kind, of_kind in self.by_kind.items():
            rows = kinds == KINDS.index(kind)
            corrected[rows] = calibrated(probabilities[rows], of_kind.temperature)
            corrected[rows] *= np.float32(of_kind.trust)
            corrected[rows] += np.float32((1.0 - of_kind.trust) / N_CATEGORIES)
        return corrected

    def to_json(self) -> bytes:
        """Return the calibration as a bundle's member."""
        content: dict[str, Any] = {
            "temperature": self.temperature,
            "by_kind": {kind: asdict(of_kind) for kind, of_kind in self.by_kind.items()},
        }
        if self.learned:
            content["words"] = dict(sorted(self.learned))
        return json.dumps(content).encode("ascii")

    @classmethod
    def from_json(cls, document: bytes) -> "Calibration":
        """Read what `to_json` wrote, or a temperature alone; ValueError for anything else."""
        content = json.loads(document)
        try:
            by_kind = {
                KINDS[KINDS.index(Evidence(kind))]: KindCalibration(
                    float(of_kind["temperature"]), float(of_kind["trust"])
                )
                for kind, of_kind in content.get("by_kind", {}).items()
            }
            learned = {
                (word, tuple(CATEGORIES[category_index(name)] for name in names))
                for word, names in content.get("words", {}).items()
            }
            calibration = cls(float(content["temperature"]), by_kind, frozenset(learned))
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"the calibration has a missing or invalid entry: {error}") from error
        temperatures = [
            calibration.temperature,
            *(of_kind.temperature for of_kind in by_kind.values()),
        ]
        if not all(0 < temperature < math.inf for temperature in temperatures):
            raise ValueError("the temperatures of a calibration must be above 0")
        if not all(0 < of_kind.trust <= 1 for of_kind in by_kind.values()):
            raise ValueError("the trust of a calibration must be above 0 and at most 1")
        return calibration
