"""Training from a table in a file: measure on unseen vendors and at random, fit on all, publish."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Engine

from classifier.bundle.load import read_manifest
from classifier.bundle.manifest import Manifest
from classifier.bundle.publish import publish
from db.engine import reading
from db.registry import training_runs
from db.states import RunVerdict
from training.data.csv_tables import TableCounts
from training.data.dataset import LabelledSounds
from training.data.splits import NO_VENDORS, Fold, Rows, random_split, vendor_folds
from training.evaluation.experiment import Experiment, System, SystemResult, splits_of
from training.evaluation.metrics import Evaluation, evaluate
from training.fit.stack_fit import StackFitter
from training.phase_progress import Progress, counter, no_progress
from training.prior.pretrained import generated_prior
from training.reports.html import render_table_report
from training.runs.champion import Champion, read_champion, rows_of_others
from training.runs.promotion_gate import judge
from training.runs.result import RunResult

#: Folds of the measurement by vendor: every vendor is tested once.
N_OUTER_FOLDS: Final = 5


@dataclass(frozen=True)
class BesideChampion:
    """Models like the new one and the champion, on the same sounds.

    They are the sounds tested by vendor (without vendors: at random), of vendors that the champion
    does not list as learned; it may know one by another name. Both evaluations are None if there
    are none. `gate` is the promotion gate's reason.
    """

    champion_version: str
    champion: Evaluation | None
    challenger: Evaluation | None
    passed_gate: bool
    gate: str


@dataclass(frozen=True)
class TrainingOutcome:
    """A published bundle and how good models like it are.

    `by_vendor` tests each sound with a model that never saw its vendor. It is None with one vendor.
    `random_split` tests a third of the rows, of known vendors. `beside` is None without a champion.
    """

    bundle: bytes
    manifest: Manifest
    by_vendor: Evaluation | None
    random_split: Evaluation
    beside: BesideChampion | None


def train_bundle(
    sounds: LabelledSounds,
    *,
    version: str,
    seed: int = 0,
    progress: Progress = no_progress,
    ungrouped: str | None = None,
    champion: Champion | None = None,
) -> TrainingOutcome:
    """Train and measure; publish a model fitted on all sounds.

    Other models than the published one are measured, fitted without the rows they are tested on:
    vocabulary, weights, scaler and out-of-fold stacking included. The same sounds and seed give the
    same bundle on one machine. Raises `TrainingError` for no labels or labels of one category, and
    `BundleError` if the engines disagree about the trained models.
    """
    sounds.require_two_categories()
    # TensorFlow takes seconds to load: sounds that cannot be trained on are refused before.
    fitter = StackFitter(generated_prior(), seed=seed)
    system = System("cratesort", "cratesort", fitter.fit, fitter.n_epochs)

    def measured(folds: list[Fold], phase: str) -> tuple[Rows, SystemResult]:
        experiment = Experiment(sounds, splits_of(sounds, folds), [system])
        [result] = experiment.run(progress, phase)
        return experiment.tested, result

    skipped = None
    if len(set(sounds.vendors)) == 1:
        skipped = ungrouped or NO_VENDORS
    by_vendor = None
    if skipped is None:
        folds = vendor_folds(sounds.vendors, sounds.category_indices, N_OUTER_FOLDS, seed=seed)
        by_vendor = measured(folds, "vendors kept out")
    random = measured([random_split(len(sounds), seed=seed)], "random split")
    beside = None
    if champion is not None:
        beside = _beside(champion, sounds, *(by_vendor or random), seed=seed)
    models = fitter.fit(sounds, counter(progress, "final model", fitter.n_epochs(sounds)))
    progress("publishing", 0, 1)
    bundle = publish(
        models.members(),
        version=version,
        review_below=models.review_below,
        training=models.summary(sounds, seed=seed),
        metrics={
            "by_vendor": by_vendor[1].evaluation.as_dict() if by_vendor else None,
            "by_vendor_skipped": skipped,
            "random_split": random[1].evaluation.as_dict(),
            **(asdict(beside) if beside else {}),
        },
    )
    progress("publishing", 1, 1)
    return TrainingOutcome(
        bundle,
        read_manifest(bundle),
        by_vendor[1].evaluation if by_vendor else None,
        random[1].evaluation,
        beside,
    )


def _beside(
    champion: Champion, table: LabelledSounds, tested: Rows, result: SystemResult, *, seed: int
) -> BesideChampion:
    """Compare with the champion on the tested sounds whose vendors it does not list as learned."""
    rows = rows_of_others(table.take(tested), champion.vendors)
    if not len(rows):
        why = "not compared, for it has learned from all of these vendors"
        return BesideChampion(champion.version, None, None, passed_gate=False, gate=why)
    sounds, challenger = table.take(tested[rows]), result.probabilities[rows]
    probabilities = champion.probabilities(table)[tested[rows]]
    packs = sounds.vendors + "\0" + sounds.packs
    decision = judge(sounds.category_indices, packs, probabilities, challenger, seed=seed)
    return BesideChampion(
        champion.version,
        evaluate(sounds.category_indices, probabilities),
        evaluate(sounds.category_indices, challenger),
        passed_gate=decision.promote,
        gate=decision.reason,
    )


def train_from_table(
    sounds: LabelledSounds,
    counts: TableCounts,
    database: Engine,
    *,
    version: str,
    seed: int,
    progress: Progress,
) -> RunResult:
    """Train from a table that was read (`csv_tables.read_counted`), as a training run.

    Raises what `train_bundle` raises.
    """
    with reading(database) as connection:
        champion = read_champion(connection)
    outcome = train_bundle(
        sounds,
        version=version,
        seed=seed,
        progress=progress,
        ungrouped=counts.ungrouped,
        champion=champion,
    )
    with reading(database) as connection:
        # This run reads no labels of the database.
        last_label_id = training_runs.learned_label_id(connection)
    sizes = {
        "rows": counts.rows,
        "labelled": counts.labelled,
        "copies": counts.duplicates,
        "sounds": len(sounds),
        "sounds_per_category": outcome.manifest.training["sounds_per_category"],
    }
    reason = "trained from a table; promoting it is left to the user"
    if outcome.beside is not None:
        reason += f". Beside the champion {outcome.beside.champion_version}: {outcome.beside.gate}"
    return RunResult(
        version=version,
        bundle=outcome.bundle,
        sizes=sizes,
        metrics=dict(outcome.manifest.metrics),
        verdict=RunVerdict.STORED,
        reason=reason,
        report_html=render_table_report(
            version=version,
            reason=reason,
            by_vendor=outcome.by_vendor,
            random_split=outcome.random_split,
            champion=outcome.beside.champion if outcome.beside else None,
            sizes=sizes,
            by_evidence=outcome.manifest.training["by_evidence"],
            created=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        ),
        last_label_id=last_label_id,
    )
