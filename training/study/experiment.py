"""The study: five systems on identical splits, by vendor and at random.

By vendor is the headline: no vendor stands on both sides, as when a new one arrives. The random
split is the published one, of vendors already known: a third is held out, the rest divided 80 to 20
into rows to learn from and rows to validate on.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.bundle.manifest import installed_libraries
from classifier.categories import CATEGORIES, N_CATEGORIES
from training.baselines import published_method
from training.baselines.published_method import FittedSystem
from training.data.csv_tables import TableCounts
from training.data.dataset import LabelledSounds
from training.data.splits import Fold, Rows, random_split, vendor_folds
from training.errors import TrainingError
from training.evaluation.held_out_predictions import ask
from training.evaluation.metrics import Evaluation, evaluate
from training.fit.stack_fit import fit_models, n_epochs_of_a_fit
from training.prior.pretrained import Prior, generated_prior
from training.progress import Progress, counter
from training.study.table_profile import Analysis, analyse

#: Raised whenever a reader of the old `Study.as_dict` would misread the new one.
SCHEMA_VERSION: Final = 1

#: Of the rows that are not held out, as published.
_VALIDATION_SHARE: Final = 0.2

#: A fit needs two sounds to learn from. The random split leaves so many of five.
_FEWEST_LEARNED: Final = 2
_FEWEST_SOUNDS: Final = 5

ONE_VENDOR: Final = "all sounds are of one vendor: none can be kept out"
ALMOST_ONE_VENDOR: Final = "without the largest vendor there are too few sounds to learn from"


class System(StrEnum):
    """The five, in the order of every table; ours is the last."""

    NAIVE_BAYES = "naive_bayes"
    TFIDF_FOREST = "tfidf_forest"
    LSTM = "reference_lstm"
    IN_SAMPLE_STACK = "reference_stack_in_sample"
    OURS = "cratesort"

    @property
    def shown(self) -> str:
        """What a person reads."""
        return _SHOWN[self]


_SHOWN: Final = {
    System.NAIVE_BAYES: "TF-IDF + naive Bayes",
    System.TFIDF_FOREST: "TF-IDF + forest",
    System.LSTM: "reference LSTM",
    System.IN_SAMPLE_STACK: "reference stack, in-sample",
    System.OURS: "cratesort, out-of-fold",
}


@dataclass(frozen=True)
class SystemResult:
    """One system on one split.

    Attributes
    ----------
    evaluation : Evaluation
        Over every vendor, each answered by a model that had not seen it; or over the holdout.
    validation : Evaluation or None
        Of the random split's validation rows.
    n_fits : int
        One for each fold.
    fit_seconds, predict_seconds : float
        Sums over the folds. Of the reference stack with its LSTM's, which both share; of ours
        without the generated names, which are learned once and not for each table.
    n_predicted : int
        Sounds that were answered in `predict_seconds`.
    """

    system: System
    evaluation: Evaluation
    validation: Evaluation | None
    n_fits: int
    fit_seconds: float
    predict_seconds: float
    n_predicted: int


@dataclass(frozen=True)
class Study:
    """What a study found.

    Attributes
    ----------
    n_folds : int
        Of the split by vendor; 0 where it was skipped.
    by_vendor : tuple of SystemResult
        Empty with one vendor.
    by_vendor_skipped : str or None
        Why.
    """

    seed: int
    n_folds: int
    reference_batch_size: int
    analysis: Analysis
    by_vendor: tuple[SystemResult, ...]
    by_vendor_skipped: str | None
    at_random: tuple[SystemResult, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values; ``docs/metrics-schema.md`` explains them."""
        return {
            "schema_version": SCHEMA_VERSION,
            "seed": self.seed,
            "n_folds": self.n_folds,
            "reference_batch_size": self.reference_batch_size,
            "libraries": installed_libraries(),
            "analysis": self.analysis.as_dict(),
            "by_vendor": [_as_dict(result) for result in self.by_vendor],
            "by_vendor_skipped": self.by_vendor_skipped,
            "random": [_as_dict(result) for result in self.at_random],
        }


def _as_dict(result: SystemResult) -> dict[str, Any]:
    return {
        "system": str(result.system),
        "title": result.system.shown,
        "evaluation": result.evaluation.as_dict(),
        "validation": result.validation.as_dict() if result.validation else None,
        "n_fits": result.n_fits,
        "fit_seconds": round(result.fit_seconds, 3),
        "predict_seconds": round(result.predict_seconds, 3),
        "n_predicted": result.n_predicted,
    }


def run_study(
    sounds: LabelledSounds,
    counts: TableCounts,
    *,
    seed: int,
    n_folds: int,
    reference_batch_size: int,
    progress: Progress,
) -> Study:
    """Compare the five systems on a table.

    Parameters
    ----------
    counts : TableCounts
        Of the same table.
    seed : int
        Of splits and fits; but for times, the same seed gives the same study on one machine.
    n_folds : int, >= 2
        At most; there are no more than vendors.
    reference_batch_size : int
        Of the reference LSTM; published: 1.

    Raises
    ------
    TrainingError
        Too few sounds, or of one category.
    """
    present = np.unique(sounds.category_indices)
    if len(present) < 2:
        raise TrainingError(
            f"a study needs sounds of at least two categories; of {len(sounds):,} labelled ones "
            f"all are {CATEGORIES[present[0]] if len(present) else 'missing'}"
        )
    if len(sounds) < _FEWEST_SOUNDS:
        raise TrainingError(
            f"a study needs at least {_FEWEST_SOUNDS} labelled sounds with names of their own, "
            f"got {len(sounds)}"
        )
    runner = _Runner(seed, reference_batch_size)
    folds, skipped = _vendor_folds(sounds, n_folds, seed)
    by_vendor = runner.results(
        sounds, [(learned, (tested,)) for learned, tested in folds], progress, "vendors kept out"
    )
    rest, held_out = random_split(len(sounds), seed=seed)
    learned, validated = random_split(len(rest), seed=seed, test_share=_VALIDATION_SHARE)
    at_random = runner.results(
        sounds, [(rest[learned], (held_out, rest[validated]))], progress, "random split"
    )
    return Study(
        seed,
        len(folds),
        reference_batch_size,
        analyse(sounds, counts),
        by_vendor,
        skipped,
        at_random,
    )


def _vendor_folds(sounds: LabelledSounds, n_folds: int, seed: int) -> tuple[list[Fold], str | None]:
    """Return the folds, or none and why there are none."""
    if len(set(sounds.vendors)) == 1:
        return [], ONE_VENDOR
    folds = vendor_folds(sounds.vendors, sounds.category_indices, n_folds, seed=seed)
    if min(len(learned) for learned, _ in folds) < _FEWEST_LEARNED:
        return [], ALMOST_ONE_VENDOR
    return folds, None


class _Runner:
    """Fits and asks every system on the same splits."""

    def __init__(self, seed: int, reference_batch_size: int) -> None:
        self._seed = seed
        self._batch_size = reference_batch_size
        # TensorFlow takes seconds to load: a table that cannot be studied is refused before.
        from classifier.model.name_lstm import SequenceModel

        self._prior: Prior = generated_prior()
        self._sequence = SequenceModel(seed)

    def results(
        self,
        sounds: LabelledSounds,
        splits: list[tuple[Rows, tuple[Rows, ...]]],
        progress: Progress,
        phase: str,
    ) -> tuple[SystemResult, ...]:
        """Return each system's figures; what is tested first is its evaluation, then validation.

        None at all when there are no splits.
        """
        if not splits:
            return ()
        sides = [sounds.take(learned) for learned, _ in splits]
        n_ours = sum(n_epochs_of_a_fit(side, self._prior) for side in sides)
        advance = counter(progress, phase, n_ours + (published_method.EPOCHS + 3) * len(sides))
        answers = {system: np.zeros((len(sounds), N_CATEGORIES), np.float32) for system in System}
        fits, predictions = dict.fromkeys(System, 0.0), dict.fromkeys(System, 0.0)
        for side, (_, tests) in zip(sides, splits, strict=True):
            tested = np.concatenate(tests)
            lstm: FittedSystem | None = None
            for system in System:
                began = time.perf_counter()
                fitted = self._fit(system, side, lstm, advance)
                fits[system] += time.perf_counter() - began
                lstm = fitted if system is System.LSTM else lstm
                began = time.perf_counter()
                answers[system][tested] = ask(fitted, sounds, tested)
                predictions[system] += time.perf_counter() - began
        fits[System.IN_SAMPLE_STACK] += fits[System.LSTM]
        tested_first = [tests[0] for _, tests in splits]
        validated = [tests[1] for _, tests in splits if len(tests) > 1]
        return tuple(
            SystemResult(
                system,
                self._evaluated(sounds, answers[system], tested_first),
                self._evaluated(sounds, answers[system], validated) if validated else None,
                len(splits),
                fits[system],
                predictions[system],
                sum(len(rows) for _, tests in splits for rows in tests),
            )
            for system in System
        )

    @staticmethod
    def _evaluated(
        sounds: LabelledSounds, answers: NDArray[np.float32], tested: list[Rows]
    ) -> Evaluation:
        rows = np.concatenate(tested)
        return evaluate(sounds.category_indices[rows], answers[rows])

    def _fit(
        self,
        system: System,
        side: LabelledSounds,
        lstm: FittedSystem | None,
        advance: Callable[[], None],
    ) -> FittedSystem:
        seed = self._seed
        if system is System.LSTM:
            return published_method.NameLstm(
                side, seed=seed, batch_size=self._batch_size, on_epoch=advance
            )
        if system is System.OURS:
            return fit_models(side, self._sequence, self._prior, seed=seed, on_epoch=advance)
        advance()
        if system is System.NAIVE_BAYES:
            return published_method.NaiveBayes(side)
        if system is System.TFIDF_FOREST:
            return published_method.TfidfForest(side, seed=seed)
        assert isinstance(lstm, published_method.NameLstm)  # noqa: S101  (fitted just before)
        return published_method.InSampleStack(side, lstm, seed=seed)
