"""The study: compare five systems on identical splits, by vendor and at random.

The split by vendor is the main result: no vendor is on both sides, as when a new vendor arrives.
The random split is the published one and measures known vendors: a third of the rows is tested, and
the rest is divided 80 to 20 into training and validation rows.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

from classifier.bundle.manifest import installed_libraries
from training.baselines.published_method import (
    LstmEpoch,
    PublishedStack,
    fit_naive_bayes,
    fit_tfidf_forest,
)
from training.data.csv_tables import TableCounts
from training.data.dataset import LabelledSounds
from training.data.splits import NO_VENDORS, Fold, random_split, vendor_folds
from training.errors import TrainingError
from training.evaluation.confident_errors import ErrorKind, most_confident_errors
from training.evaluation.experiment import Experiment, Split, System, SystemResult, splits_of
from training.fit.stack_fit import StackFitter
from training.phase_progress import Progress
from training.prior.pretrained import generated_prior
from training.study.ablations import ablations
from training.study.row_findings import (
    SuspectedLabel,
    VendorAccuracy,
    suspected_labels,
    vendor_accuracies,
)
from training.study.table_profile import Analysis, analyse

#: Incremented when a change of `Study.as_dict` would break its readers.
SCHEMA_VERSION: Final = 1

#: Share of validation rows among the rows that are not tested, as published.
_VALIDATION_SHARE: Final = 0.2

#: Metrics in the JSON of each fold.
_OF_FOLDS: Final = ("n_sounds", "accuracy", "macro_precision", "macro_recall", "macro_f1")

#: A fit needs two training rows; with five sounds the random split leaves exactly two.
_FEWEST_LEARNED: Final = 2
_FEWEST_SOUNDS: Final = 5

ALMOST_ONE_VENDOR: Final = "without the largest vendor, too few training sounds are left"


@dataclass(frozen=True)
class Study:
    """The results of a study.

    `by_vendor` tests all sounds, each predicted by models that had not seen its vendor. If it was
    skipped, it is empty, `n_folds` is 0 and `by_vendor_skipped` is the reason. Our system is the
    last of `by_vendor` and `at_random`. `ablations` are our system without a part of its inputs.
    They, our system's `surest_mistakes` and the suspected labels are measured on the splits of
    `headline`. `lstm_epochs` are measured on the reference LSTM of the random split.
    """

    seed: int
    n_folds: int
    reference_batch_size: int
    analysis: Analysis
    by_vendor: tuple[SystemResult, ...]
    by_vendor_skipped: str | None
    at_random: tuple[SystemResult, ...]
    ablations: tuple[SystemResult, ...]
    lstm_epochs: tuple[LstmEpoch, ...]
    vendor_accuracies: tuple[VendorAccuracy, ...]
    surest_mistakes: tuple[ErrorKind, ...]
    suspected_labels: tuple[SuspectedLabel, ...]

    @property
    def headline(self) -> tuple[SystemResult, ...]:
        """The results by vendor; if they were skipped, those of the random split."""
        return self.by_vendor or self.at_random

    @property
    def ablated_split(self) -> str:
        """A description of the vendors on which `ablations` were measured."""
        return "unseen vendors" if self.by_vendor else "known vendors"

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values; ``docs/reference/study-files.md`` explains them."""
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
            "ablations": [_as_dict(result) for result in self.ablations],
            "lstm_epochs": [asdict(epoch) for epoch in self.lstm_epochs],
            "vendor_accuracies": [asdict(vendor) for vendor in self.vendor_accuracies],
            "surest_mistakes": [kind.as_dict() for kind in self.surest_mistakes],
            "suspected_labels": [asdict(label) for label in self.suspected_labels],
        }


def _as_dict(result: SystemResult) -> dict[str, Any]:
    return {
        "system": result.system.name,
        "title": result.system.title,
        "evaluation": result.evaluation.as_dict(),
        "validation": result.validation.as_dict() if result.validation else None,
        "folds": [{name: getattr(fold, name) for name in _OF_FOLDS} for fold in result.by_split],
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
    """Compare the five systems on a table with these counts.

    Except for times, the same seed gives the same study on one machine. There are at most as many
    folds as vendors. Raises `TrainingError` if there are too few sounds, or only one category.
    """
    sounds.require_two_categories()
    if len(sounds) < _FEWEST_SOUNDS:
        raise TrainingError(
            f"a study needs at least {_FEWEST_SOUNDS} labelled sounds with different names, "
            f"got {len(sounds)}"
        )
    stack = PublishedStack(seed=seed, batch_size=reference_batch_size)
    ours = StackFitter(generated_prior(), seed=seed, ablatable=True)
    systems, parts = _five_systems(seed, stack, ours), ablations(ours)
    folds, skipped = _vendor_folds(sounds, counts.ungrouped or NO_VENDORS, n_folds, seed)
    rest, held_out = random_split(len(sounds), seed=seed)
    learned, validated = random_split(len(rest), seed=seed, test_share=_VALIDATION_SHARE)
    split = Split(sounds.take(rest[learned]), held_out, rest[validated])
    experiment = Experiment(sounds, splits_of(sounds, folds), [*systems, *parts])
    by_vendor = experiment.run(progress, "cross-validation by vendor")
    stack.validated = sounds.take(split.validated)
    compared = systems if by_vendor else [*systems, *parts]
    at_random = Experiment(sounds, [split], compared).run(progress, "random split")
    headline, n_systems = by_vendor or at_random, len(systems)
    tested, our_result = sounds.take(headline[0].tested), headline[n_systems - 1]
    return Study(
        seed,
        len(folds),
        reference_batch_size,
        analyse(sounds, counts),
        by_vendor[:n_systems],
        skipped,
        at_random[:n_systems],
        headline[n_systems:],
        stack.epochs,
        vendor_accuracies(sounds, by_vendor[:n_systems]) if by_vendor else (),
        most_confident_errors(tested, our_result.probabilities),
        suspected_labels(sounds, headline[:n_systems], headline[n_systems]),
    )


def _five_systems(seed: int, stack: PublishedStack, ours: StackFitter) -> list[System]:
    return [
        System("naive_bayes", "TF-IDF + naive Bayes", lambda sounds, _: fit_naive_bayes(sounds)),
        System(
            "tfidf_forest",
            "TF-IDF + forest",
            lambda sounds, _: fit_tfidf_forest(sounds, seed=seed),
        ),
        System("reference_lstm", "reference LSTM", stack.fit_lstm, stack.n_epochs),
        System(
            "reference_stack_in_sample",
            "reference stack, in-sample",
            stack.fit,
            reuses="reference_lstm",
        ),
        System("cratesort", "cratesort, out-of-fold", ours.fit, ours.n_epochs),
    ]


def _vendor_folds(
    sounds: LabelledSounds, ungrouped: str, n_folds: int, seed: int
) -> tuple[list[Fold], str | None]:
    """Return the folds by vendor, or no folds and a reason; `ungrouped` is that for one vendor."""
    if len(set(sounds.vendors)) == 1:
        return [], ungrouped
    folds = vendor_folds(sounds.vendors, sounds.category_indices, n_folds, seed=seed)
    if min(len(learned) for learned, _ in folds) < _FEWEST_LEARNED:
        return [], ALMOST_ONE_VENDOR
    return folds, None
