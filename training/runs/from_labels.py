"""Retraining: from the labels of the database to a challenger and the verdict on it.

The challenger starts from what the starter knows, learns the labelled sounds that are not held
out, and is compared with the champion on those that are. It is published as a bundle either way;
the verdict decides whether it serves.
"""

from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from classifier.bundle.publish import publish
from db.engine import reading
from db.states import RunVerdict
from training.data.dataset import LabelledSounds
from training.data.from_database import LabelledTables, read_labelled
from training.errors import TrainingError
from training.evaluation.metrics import evaluate
from training.fit.stack_fit import StackFitter
from training.phase_progress import Progress, counter
from training.prior.pretrained import starter_prior
from training.reports.html import render_training_report
from training.runs.champion import FROZEN, Champion, read_champion, rows_of_others, starter_vendors
from training.runs.promotion_gate import GateDecision, judge
from training.runs.result import RunResult


def retrain_labels(database: Engine, *, version: str, seed: int, progress: Progress) -> RunResult:
    """Train a challenger of this version from the database's labels, and judge it.

    The seed is that of folds, fits and the gate's draws. Raises `TrainingError` for no labels or
    labels of one category, and `BundleError` if the champion cannot be loaded to compare with, or
    the engines disagree about the challenger.
    """
    # First, because it is quick and may end the run.
    with reading(database) as connection:
        champion = read_champion(connection)
    progress("reading labels", 0, 1)
    # Their number is not known. Reporting each chunk lets the run be stopped there.
    tables = read_labelled(database, on_chunk=lambda _: progress("reading labels", 0, 1))
    progress("reading labels", 1, 1)
    _require_labels(tables)
    # TensorFlow takes seconds to load: labels that cannot be learned are refused before.
    fitter = StackFitter(starter_prior(), seed=seed)
    advance = counter(progress, "fitting", fitter.n_epochs(tables.learned))
    models = fitter.fit(tables.learned, advance)
    progress("comparing", 0, 1)
    from_starter = starter_vendors()
    challenger = models.probabilities(tables.held_out)
    decision = _judge(tables.held_out, champion, challenger, from_starter, seed)
    progress("comparing", 1, 1)
    learned_vendors = from_starter | set(map(str, tables.learned.vendors))
    unseen = rows_of_others(tables.held_out, learned_vendors)
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
    progress("publishing", 0, 1)
    bundle = publish(
        models.members(),
        version=version,
        review_below=models.review_below,
        training={
            **models.summary(tables.learned, seed=seed),
            "vendors": sorted(learned_vendors),
            "holdout": FROZEN,
            "temperature": models.temperature,
        },
        metrics=metrics,
    )
    progress("publishing", 1, 1)
    sizes = _sizes(tables)
    return RunResult(
        version=version,
        bundle=bundle,
        sizes=sizes,
        metrics=metrics,
        verdict=RunVerdict.PROMOTED if decision.promote else RunVerdict.KEPT,
        reason=decision.reason,
        report_html=render_training_report(
            version=version,
            verdict="promoted" if decision.promote else "kept",
            reason=decision.reason,
            challenger=decision.challenger,
            champion=decision.champion,
            champion_version=champion.version,
            sizes=sizes,
            created=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        ),
        last_label_id=tables.last_label_id,
    )


def _require_labels(tables: LabelledTables) -> None:
    if not len(tables.learned):
        reason = (
            f"all {tables.n_labelled:,} labelled sounds are held out, contradict each other, or "
            "are copies of such"
            if tables.n_labelled
            else "give some with `cratesort labels import`"
        )
        raise TrainingError(f"no labels to learn from: {reason}")
    tables.learned.require_two_categories()


def _judge(
    held_out: LabelledSounds,
    champion: Champion,
    challenger: NDArray[np.float32],
    from_starter: frozenset[str],
    seed: int,
) -> GateDecision:
    """Compare the predictions of both models for the vendors that neither may have learned."""
    known = from_starter
    if champion.training.get("holdout") != FROZEN:
        known |= champion.vendors
    rows = rows_of_others(held_out, known)
    sounds = held_out.take(rows)
    packs = sounds.vendors + "\0" + sounds.packs
    return judge(
        sounds.category_indices,
        packs,
        champion.probabilities(sounds),
        challenger[rows],
        seed=seed,
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
