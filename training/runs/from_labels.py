"""Retraining: fit a challenger on the labels of the database and decide whether to promote it.

The challenger starts from the starter's weights and learns the labelled sounds that are not held
out. It is compared with the champion on the held-out sounds. If too few are held out, models like
it are compared out of fold on the learned sounds. The challenger is always published as a bundle;
the verdict decides whether it goes into use.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Engine

from classifier.bundle.publish import publish
from classifier.categories import CATEGORIES
from db.engine import reading
from db.states import RunVerdict
from training.data.from_database import LabelledTables, read_labelled
from training.data.holdout import FEWEST_PACKS, FEWEST_SOUNDS, is_enough
from training.data.splits import Rows
from training.errors import TrainingError
from training.evaluation.metrics import evaluate
from training.fit.stack_fit import StackFitter
from training.phase_progress import Progress, counter
from training.prior.pretrained import starter_prior
from training.reports.html import render_training_report
from training.runs.champion import (
    FROZEN,
    NO_HOLDOUT,
    read_champion,
    rows_of_other_vendors,
    starter_vendors,
)
from training.runs.out_of_fold import compare_out_of_fold, groups_of
from training.runs.promotion_gate import judge
from training.runs.result import RunResult

#: Verdicts as text for reports and the terminal.
VERDICTS: Final = {
    RunVerdict.PROMOTED: "promoted: it is now in use",
    RunVerdict.KEPT: "not promoted: the current model stays in use",
    RunVerdict.STORED: "stored: you decide whether to promote it",
}


def retrain_labels(
    database: Engine,
    *,
    version: str,
    seed: int,
    progress: Progress,
    announce: Callable[[str], None] = lambda _: None,
) -> RunResult:
    """Train a challenger of this version from the database's labels, and judge it.

    `seed` is used for folds, fits and the draws of the promotion gate. Before the first fit,
    `announce` is called with each line of a summary of the labels. Raises `TrainingError` if there
    are no labels or all have the same category. Raises `BundleError` if the champion cannot be
    loaded, or if the inference engines disagree about the challenger.
    """
    # First, because this is quick and may fail.
    with reading(database) as connection:
        champion = read_champion(connection)
    progress("reading labels", 0, 1)
    # The number of labels is unknown. Progress is reported for each chunk, so a run can stop there.
    tables = read_labelled(database, on_chunk=lambda _: progress("reading labels", 0, 1))
    progress("reading labels", 1, 1)
    _require_labels(tables)
    from_starter = starter_vendors()
    known_vendors = from_starter
    if champion.training.get("holdout") != FROZEN:
        known_vendors |= champion.vendors
    rows = rows_of_other_vendors(tables.held_out, known_vendors)
    compared = tables.held_out.take(rows)
    packs = compared.vendors + "\0" + compared.packs
    is_held_out = is_enough(len(compared), len(set(packs)))
    new_to_champion = champion.rows_not_learned(tables, from_starter)
    for line in _summary(tables, len(compared) if is_held_out else None, new_to_champion):
        announce(line)
    announce("loading TensorFlow")
    # Labels that cannot be learned were rejected above: TensorFlow takes seconds to load.
    fitter = StackFitter(starter_prior(), seed=seed)
    # Before the fit of the published model, because each fit overwrites the LSTM of earlier ones.
    decision = None
    if not is_held_out:
        decision = compare_out_of_fold(
            tables.learned,
            new_to_champion,
            champion.probabilities,
            fitter,
            seed=seed,
            progress=progress,
        )
    advance = counter(progress, "fitting", fitter.n_epochs(tables.learned))
    models = fitter.fit(tables.learned, advance)
    challenger = models.probabilities(tables.held_out)
    if decision is None:
        progress("comparing", 0, 1)
        truth, old = compared.category_indices, champion.probabilities(compared)
        decision = judge(truth, packs, old, challenger[rows], seed=seed)
        progress("comparing", 1, 1)
    learned_vendors = from_starter | set(map(str, tables.learned.vendors))
    unseen = rows_of_other_vendors(tables.held_out, learned_vendors)
    metrics = {
        "champion_version": champion.version,
        "champion": decision.champion.as_dict() if decision.champion else None,
        "challenger": decision.challenger.as_dict() if decision.challenger else None,
        "share_better": decision.share_better,
        "by_vendor": (
            evaluate(tables.held_out.category_indices[unseen], challenger[unseen]).as_dict()
            if len(unseen)
            else None
        ),
    }
    training = {
        **models.summary(tables.learned, seed=seed),
        "vendors": sorted(learned_vendors),
        "holdout": FROZEN if len(tables.held_out) else NO_HOLDOUT,
        "temperature": models.calibration.temperature,
    }
    progress("publishing", 0, 1)
    bundle = publish(
        models.members(),
        version=version,
        review_below=models.review_below,
        training=training,
        metrics=metrics,
    )
    progress("publishing", 1, 1)
    sizes = _sizes(tables)
    verdict = RunVerdict.PROMOTED if decision.promote else RunVerdict.KEPT
    if not decision.is_proven:
        verdict = RunVerdict.STORED
    return RunResult(
        version=version,
        bundle=bundle,
        sizes=sizes,
        metrics=metrics,
        verdict=verdict,
        reason=decision.reason,
        report_html=render_training_report(
            version=version,
            verdict=VERDICTS[verdict],
            is_out_of_fold=not is_held_out,
            reason=decision.reason,
            challenger=decision.challenger,
            champion=decision.champion,
            champion_version=champion.version,
            sizes=sizes,
            by_evidence=training["by_evidence"],
            created=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        ),
        last_label_id=tables.last_label_id,
    )


def _require_labels(tables: LabelledTables) -> None:
    if not len(tables.learned):
        reason = (
            f"all {tables.n_labelled:,} labels contradict each other"
            if tables.n_labelled
            else "add labels with `cratesort labels import`"
        )
        raise TrainingError(f"no labels to train on: {reason}")
    tables.learned.require_two_categories()


def _summary(
    tables: LabelledTables, n_compared: int | None, new_to_champion: Rows
) -> Iterator[str]:
    """Yield lines about the sounds to learn, the sounds to compare on, and what is missing."""
    learned = tables.learned
    counts = {name: count for name, count in learned.per_category().items() if count}
    yield (
        f"{tables.n_labelled:,} labelled sounds; training sounds: "
        + ", ".join(f"{count:,} {name}" for name, count in counts.items())
    )
    if lacking := [name for name in CATEGORIES if name not in counts]:
        yield f"no labels yet for: {', '.join(lacking)}; for these, the starter's knowledge is kept"
    if n_compared is not None:
        yield f"the new model is compared on {n_compared:,} held-out sounds"
        return
    groups, unit = groups_of(learned)
    n_groups = len(set(groups[new_to_champion]))
    yield (
        f"too few packs to hold some out: the new model is compared out of fold, on "
        f"{len(new_to_champion):,} sounds in {n_groups:,} {unit}s that the current model was not "
        "trained on"
    )
    if not is_enough(len(new_to_champion), n_groups):
        yield (
            f"fewer than {FEWEST_SOUNDS} sounds in {FEWEST_PACKS} {unit}s are too few to decide: "
            "the new model will be stored, and you decide"
        )


def _sizes(tables: LabelledTables) -> dict[str, Any]:
    return {
        "labelled": tables.n_labelled,
        "learned": len(tables.learned),
        "held_out": len(tables.held_out),
        "copies": tables.n_copies,
        "contradictory": tables.n_contradictory,
        "surplus": tables.n_surplus,
        "learned_per_category": tables.learned.per_category(),
        "held_out_per_category": tables.held_out.per_category(),
    }
