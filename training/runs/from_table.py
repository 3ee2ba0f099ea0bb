"""Training from a table file: measure by vendor and at random, fit on all sounds, publish."""

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
from training.runs.champion import Champion, read_champion, rows_of_other_vendors
from training.runs.promotion_gate import judge
from training.runs.result import RunResult

#: Most folds of the measurement by vendor; every vendor is tested once.
N_OUTER_FOLDS: Final = 5


@dataclass(frozen=True)
class ChampionComparison:
    """Models like the new one compared with the champion, on the same sounds.

    The sounds are those tested by vendor (or at random, if there is one vendor), except for vendors
    that the champion lists as learned. It may have learned a vendor under another name. Both
    evaluations are None if no such sounds are left. `gate` is the promotion gate's reason.
    """

    champion_version: str
    champion: Evaluation | None
    challenger: Evaluation | None
    passed_gate: bool
    gate: str


@dataclass(frozen=True)
class TrainingOutcome:
    """A published bundle, and the evaluations of models like it.

    `by_vendor` tests each sound with a model that had not learned its vendor; it is None if there
    is one vendor. `random_split` tests a random third of the rows. `comparison` is None if there
    was no champion to compare with.
    """

    bundle: bytes
    manifest: Manifest
    by_vendor: Evaluation | None
    random_split: Evaluation
    comparison: ChampionComparison | None


def train_bundle(
    sounds: LabelledSounds,
    *,
    version: str,
    seed: int = 0,
    progress: Progress = no_progress,
    ungrouped: str | None = None,
    champion: Champion | None = None,
) -> TrainingOutcome:
    """Publish a model fitted on all sounds, with measurements of models fitted without test rows.

    The measured models are fitted completely without the rows they are tested on, including
    vocabulary, row weights, scaler and stacking. The same sounds and seed give the same bundle on
    one machine. Raises `TrainingError` if there are no labels or all have the same category, and
    `BundleError` if the inference engines disagree about the trained models.
    """
    sounds.require_two_categories()
    # Sounds that cannot be trained on were rejected above: TensorFlow takes seconds to load.
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
        by_vendor = measured(folds, "cross-validation by vendor")
    random = measured([random_split(len(sounds), seed=seed)], "random split")
    comparison = None
    if champion is not None:
        comparison = _compare_with_champion(champion, sounds, *(by_vendor or random), seed=seed)
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
            **(asdict(comparison) if comparison else {}),
        },
    )
    progress("publishing", 1, 1)
    return TrainingOutcome(
        bundle,
        read_manifest(bundle),
        by_vendor[1].evaluation if by_vendor else None,
        random[1].evaluation,
        comparison,
    )


def _compare_with_champion(
    champion: Champion, table: LabelledSounds, tested: Rows, result: SystemResult, *, seed: int
) -> ChampionComparison:
    """Compare with the champion on the tested sounds whose vendors it does not list as learned."""
    rows = rows_of_other_vendors(table.take(tested), champion.vendors)
    if not len(rows):
        why = "not compared, because it was trained on all of these vendors"
        return ChampionComparison(champion.version, None, None, passed_gate=False, gate=why)
    sounds, challenger = table.take(tested[rows]), result.probabilities[rows]
    probabilities = champion.probabilities(table)[tested[rows]]
    packs = sounds.vendors + "\0" + sounds.packs
    decision = judge(sounds.category_indices, packs, probabilities, challenger, seed=seed)
    return ChampionComparison(
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
    """Train from a table read by `csv_tables.read_counted`, as the work of a training run.

    Raises the same errors as `train_bundle`.
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
        # This run reads no labels of the database, so it keeps the id of the latest run that did.
        last_label_id = training_runs.learned_label_id(connection)
    sizes = {
        "rows": counts.rows,
        "labelled": counts.labelled,
        "copies": counts.duplicates,
        "sounds": len(sounds),
        "sounds_per_category": outcome.manifest.training["sounds_per_category"],
    }
    reason = "trained from a table; promote it with `cratesort models promote`"
    if outcome.comparison is not None:
        reason += (
            f". Compared with {outcome.comparison.champion_version}: {outcome.comparison.gate}"
        )
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
            champion=outcome.comparison.champion if outcome.comparison else None,
            sizes=sizes,
            by_evidence=outcome.manifest.training["by_evidence"],
            created=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        ),
        last_label_id=last_label_id,
    )
