"""Experiments: fit several systems on the same sounds and evaluate them on the same test rows."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from classifier.categories import N_CATEGORIES
from training.baselines.published_method import FittedSystem
from training.data.dataset import LabelledSounds
from training.data.splits import Fold, Rows
from training.evaluation.metrics import Evaluation, evaluate
from training.fit.stack_fit import FittedModels
from training.phase_progress import Progress, counter


@dataclass(frozen=True)
class System:
    """A classification method under test.

    `name` is used in JSON and file names, `title` in tables. `fit` takes the sounds to learn and a
    function to call after each epoch; `n_epochs` returns the number of these calls. `reuses` names
    an earlier system whose fit is part of this one; the time of that fit is added to both.
    """

    name: str
    title: str
    fit: Callable[[LabelledSounds, Callable[[], None]], FittedSystem | FittedModels]
    n_epochs: Callable[[LabelledSounds], int] = lambda _: 0
    reuses: str | None = None


@dataclass(frozen=True)
class Split:
    """Sounds to learn, and rows of the experiment's sounds to predict.

    `tested` and `validated` rows are evaluated separately; neither are learned.
    """

    learned: LabelledSounds
    tested: Rows
    validated: Rows = field(default_factory=lambda: np.empty(0, dtype=np.int64))


class Spread(NamedTuple):
    """One figure over all splits; `std` is the population standard deviation."""

    mean: float
    std: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class SystemResult:
    """The result of one system on all splits of an experiment.

    Attributes
    ----------
    tested : ndarray of shape (n_tested,), int64
        Tested rows of the experiment's sounds, concatenated over the splits.
    split_of : ndarray of shape (n_tested,), int64
        Index of the split that tested each row, from 0.
    probabilities : ndarray of shape (n_tested, 12), float32
        Predictions in the order of `tested`; `evaluation` is computed from them.
    by_split : tuple of Evaluation
        The evaluation of each split.
    validation : Evaluation or None
        None if there are no validated rows.
    n_fits : int
        One per split; `fit_seconds` and `predict_seconds` are sums over them.
    """

    system: System
    tested: Rows = field(repr=False, compare=False)
    split_of: NDArray[np.int64] = field(repr=False, compare=False)
    probabilities: NDArray[np.float32] = field(repr=False, compare=False)
    evaluation: Evaluation
    by_split: tuple[Evaluation, ...]
    validation: Evaluation | None
    n_fits: int
    fit_seconds: float
    predict_seconds: float
    n_predicted: int

    def spread(self, measure: str) -> Spread:
        """Return how an attribute of `Evaluation` varies between the splits."""
        figures = [getattr(evaluation, measure) for evaluation in self.by_split]
        return Spread(float(np.mean(figures)), float(np.std(figures)), min(figures), max(figures))


def splits_of(sounds: LabelledSounds, folds: Sequence[Fold]) -> list[Split]:
    """Return the splits for folds of one table, which is both learned and tested."""
    return [Split(sounds.take(learned), tested) for learned, tested in folds]


@dataclass(frozen=True)
class Experiment:
    """Systems, and the splits of `sounds` on which they are evaluated.

    `pack_mates` are further sounds that may be pack-mates of the tested ones.
    """

    sounds: LabelledSounds
    splits: Sequence[Split]
    systems: Sequence[System]
    pack_mates: LabelledSounds | None = None

    @property
    def tested(self) -> Rows:
        """The tested rows of all splits, concatenated."""
        return np.concatenate([split.tested for split in self.splits])

    def run(self, progress: Progress, phase: str) -> tuple[SystemResult, ...]:
        """Fit and evaluate each system on each split; return no results if there are no splits."""
        if not self.splits:
            return ()
        n_epochs = [s.n_epochs(split.learned) for split in self.splits for s in self.systems]
        advance = counter(progress, phase, sum(n_epochs) + len(n_epochs))
        probabilities = {
            system.name: np.zeros((len(self.sounds), N_CATEGORIES), np.float32)
            for system in self.systems
        }
        fit_seconds: dict[str | None, float] = defaultdict(float)
        predict_seconds: dict[str, float] = defaultdict(float)
        for split in self.splits:
            rows = np.concatenate([split.tested, split.validated])
            for system in self.systems:
                began = time.perf_counter()
                fitted = system.fit(split.learned, advance)
                fitted_at = time.perf_counter()
                probabilities[system.name][rows] = self._predicted(fitted, rows)
                fit_seconds[system.name] += fitted_at - began
                predict_seconds[system.name] += time.perf_counter() - fitted_at
                advance()
        tested, validated = self.tested, np.concatenate([split.validated for split in self.splits])
        return tuple(
            SystemResult(
                system,
                tested,
                np.repeat(np.arange(len(self.splits)), [len(s.tested) for s in self.splits]),
                probabilities[system.name][tested],
                self._evaluation(probabilities[system.name], tested),
                tuple(self._evaluation(probabilities[system.name], s.tested) for s in self.splits),
                self._evaluation(probabilities[system.name], validated) if len(validated) else None,
                len(self.splits),
                fit_seconds[system.name] + fit_seconds[system.reuses],
                predict_seconds[system.name],
                len(tested) + len(validated),
            )
            for system in self.systems
        )

    def _evaluation(self, probabilities: NDArray[np.float32], rows: Rows) -> Evaluation:
        return evaluate(self.sounds.category_indices[rows], probabilities[rows])

    def _predicted(self, fitted: FittedSystem | FittedModels, rows: Rows) -> NDArray[np.float32]:
        """Predict rows as production would, with all other names as possible pack-mates."""
        sounds = self.sounds.take(rows)
        if not isinstance(fitted, FittedModels):
            return fitted.probabilities(sounds)
        others = self.sounds.take(np.setdiff1d(np.arange(len(self.sounds)), rows))
        if self.pack_mates is not None:
            others = others.joined(self.pack_mates)
        return fitted.probabilities(sounds, others)
