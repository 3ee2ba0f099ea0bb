"""Retraining: from the labels of the database to a challenger and the verdict on it.

The challenger starts from what the starter knows, learns the labelled sounds that are not held
out, and is compared with the champion on those that are. What was learned is published as a bundle
either way; whether it serves is the verdict's to say.

Importing this module needs the ``[training]`` extra.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from classifier.bundle.load import load_classifier, read_manifest
from classifier.bundle.publish import publish
from classifier.bundle.starter import starter_bundle
from classifier.categories import CATEGORIES, N_CATEGORIES
from classifier.errors import BundleError
from classifier.model.classifier import Classifier
from db.engine import reading
from db.registry import bundles
from db.tables import RunVerdict
from training.data.dataset import LabelledSounds
from training.data.from_database import LabelledTables, read_labelled
from training.data.row_mates import mates_in
from training.errors import TrainingError
from training.evaluation.metrics import evaluate
from training.fit.stack_fit import FittedModels, StackFitter
from training.prior.pretrained import starter_prior
from training.progress import Progress, counter
from training.reports.html import render_training_report
from training.runs.promotion_gate import Verdict, judge
from training.runs.result import RunResult

#: In a manifest: what it learned is bound by the frozen holdout, so that it may be measured there.
_FROZEN: Final = "frozen"


@dataclass(frozen=True)
class _Champion:
    version: str
    classifier: Classifier
    training: Mapping[str, Any]


def retrain_labels(database: Engine, *, version: str, seed: int, progress: Progress) -> RunResult:
    """Train a challenger from the database's labels and judge it.

    Parameters
    ----------
    database : Engine
        At this version's tables.
    version : str
        Of the challenger.
    seed : int
        Of folds, fits and the gate's draws.

    Raises
    ------
    TrainingError
        No labels to learn from, or all of one category.
    BundleError
        The champion cannot be trusted, so nothing can be compared with it; or the engines
        disagree about the challenger.
    """
    # First, because it is quick and may be what ends the run.
    with reading(database) as connection:
        champion = _champion(connection)
    progress("reading labels", 0, 1)
    # Nobody knows how many there are; told so after each chunk, the run can be stopped there.
    tables = read_labelled(database, on_chunk=lambda _: progress("reading labels", 0, 1))
    progress("reading labels", 1, 1)
    _require_two_categories(tables)
    # TensorFlow takes seconds to load: labels that cannot be learned are refused before.
    fitter = StackFitter(starter_prior(), seed=seed)
    advance = counter(progress, "fitting", fitter.n_epochs(tables.learned))
    models = fitter.fit(tables.learned, advance)
    progress("comparing", 0, 1)
    starter_vendors = _vendors(read_manifest(starter_bundle()).training)
    answers = models.probabilities(tables.held_out)
    verdict = _judge(tables.held_out, champion, answers, starter_vendors, seed)
    progress("comparing", 1, 1)
    sizes = _sizes(tables)
    metrics = _metrics(tables, answers, verdict, champion.version, starter_vendors)
    progress("publishing", 0, 1)
    bundle = publish(
        models.members(),
        version=version,
        review_below=models.review_below,
        training=_summary(tables, models, seed, starter_vendors),
        metrics=metrics,
    )
    progress("publishing", 1, 1)
    return RunResult(
        version=version,
        bundle=bundle,
        sizes=sizes,
        metrics=metrics,
        verdict=RunVerdict.PROMOTED if verdict.promote else RunVerdict.KEPT,
        reason=verdict.reason,
        report_html=render_training_report(
            version=version,
            verdict="promoted" if verdict.promote else "kept",
            reason=verdict.reason,
            challenger=verdict.challenger,
            champion=verdict.champion,
            champion_version=champion.version,
            sizes=sizes,
            created=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        ),
        last_label_id=tables.last_label_id,
    )


def _champion(connection: Connection) -> _Champion:
    version = bundles.champion_version(connection)
    bundle = starter_bundle() if version is None else bundles.read(connection, version)
    if bundle is None:
        raise BundleError(f"model {version} serves and is not in the database")
    classifier = load_classifier(bundle)
    return _Champion(version or classifier.version, classifier, read_manifest(bundle).training)


def _require_two_categories(tables: LabelledTables) -> None:
    learned = tables.learned
    if not len(learned):
        held_back = (
            f": all {tables.n_labelled:,} labelled sounds are held out, contradict each other, or "
            "are copies of such"
            if tables.n_labelled
            else ": give some with `cratesort labels import`"
        )
        raise TrainingError(f"no labels to learn from{held_back}")
    present = np.unique(learned.category_indices)
    if len(present) == 1:
        raise TrainingError(
            f"all {len(learned):,} sounds to learn from are {CATEGORIES[present[0]]}: "
            "training needs at least two categories"
        )


def _judge(
    held_out: LabelledSounds,
    champion: _Champion,
    answers: NDArray[np.float32],
    starter_vendors: frozenset[str],
    seed: int,
) -> Verdict:
    """Compare the challenger's answers with the champion's, where neither may have learned."""
    known = starter_vendors
    training = champion.training
    if training.get("holdout") != _FROZEN:
        known |= _vendors(training)
    rows = _strangers(held_out, known)
    sounds = held_out.take(rows)
    packs = np.array(
        [f"{vendor}\0{pack}" for vendor, pack in zip(sounds.vendors, sounds.packs, strict=True)],
        dtype=object,
    )
    return judge(
        sounds.category_indices,
        packs,
        champion.classifier.answers(
            sounds.names.tolist(), sounds.headers, mates_in(sounds)
        ).probabilities,
        answers[rows],
        seed=seed,
    )


def _strangers(sounds: LabelledSounds, known: frozenset[str]) -> NDArray[np.int64]:
    """Return the rows of vendors that are not known."""
    return np.flatnonzero(~np.isin(sounds.vendors.astype(str), list(known)))


def _vendors(training: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(map(str, training.get("vendors", ())))


def _sizes(tables: LabelledTables) -> dict[str, Any]:
    return {
        "labelled": tables.n_labelled,
        "learned": len(tables.learned),
        "held_out": len(tables.held_out),
        "copies": tables.n_copies,
        "contradictory": tables.n_contradictory,
        "surplus": tables.n_surplus,
        "learned_per_category": _per_category(tables.learned.category_indices),
        "held_out_per_category": _per_category(tables.held_out.category_indices),
    }


def _per_category(category_indices: NDArray[np.int64]) -> dict[str, int]:
    counts = np.bincount(category_indices, minlength=N_CATEGORIES)
    return dict(zip(CATEGORIES, counts.tolist(), strict=True))


def _metrics(
    tables: LabelledTables,
    answers: NDArray[np.float32],
    verdict: Verdict,
    champion_version: str,
    starter_vendors: frozenset[str],
) -> dict[str, Any]:
    """Return what is written of the comparison, and of vendors nobody knew."""
    known = starter_vendors | frozenset(map(str, tables.learned.vendors))
    rows = _strangers(tables.held_out, known)
    return {
        "champion_version": champion_version,
        "champion": verdict.champion.as_dict() if verdict.champion else None,
        "challenger": verdict.challenger.as_dict() if verdict.challenger else None,
        "share_better": verdict.share_better,
        "by_vendor": (
            evaluate(tables.held_out.category_indices[rows], answers[rows]).as_dict()
            if len(rows)
            else None
        ),
    }


def _summary(
    tables: LabelledTables, models: FittedModels, seed: int, starter_vendors: frozenset[str]
) -> dict[str, Any]:
    return {
        "seed": seed,
        "sounds": len(tables.learned),
        "sounds_per_category": _per_category(tables.learned.category_indices),
        # Rows of these vendors can never again count as unseen; the starter's were learned with it.
        "vendors": sorted(starter_vendors | set(map(str, tables.learned.vendors))),
        "holdout": _FROZEN,
        "words": len(models.vocabulary.words),
        "temperature": models.temperature,
        "forest_nodes": int(sum(tree.tree_.node_count for tree in models.forest.estimators_)),
    }
