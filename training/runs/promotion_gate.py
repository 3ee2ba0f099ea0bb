"""The promotion gate: decide whether a challenger may replace the champion.

Both predict the same sounds. The challenger is promoted only if macro precision and macro F1 do not
fall, no category with enough sounds loses more F1 than a margin, and a paired bootstrap over
*packs* confirms the difference. Packs are drawn instead of single sounds (as in McNemar's test),
because the sounds of a pack are right or wrong together: a hundred takes of one snare are one piece
of evidence, not a hundred.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.categories import N_CATEGORIES
from training.data.holdout import FEWEST_PACKS, FEWEST_SOUNDS, is_enough
from training.evaluation.metrics import Evaluation, evaluate

#: A category with at least this many compared sounds must not lose more F1 than the margin.
ENOUGH_SUPPORT: Final = 20
CATEGORY_MARGIN: Final = 0.05

#: Draws of the bootstrap, and the share of draws the challenger must win (one-sided 5 %).
_DRAWS: Final = 2000
_CONFIDENCE: Final = 0.95

#: A fall up to this size is treated as a rounding error.
_EPSILON: Final = 1e-9


@dataclass(frozen=True)
class GateDecision:
    """The gate's decision, with a reason of one sentence and figures.

    Both evaluations are on the same sounds; they are None if there are too few. `share_better` is
    the share of bootstrap draws in which the challenger has the higher macro F1. `is_proven` is
    False if there were too few sounds to decide.
    """

    promote: bool
    reason: str
    champion: Evaluation | None = None
    challenger: Evaluation | None = None
    share_better: float | None = None
    is_proven: bool = True


def judge(
    category_indices: NDArray[np.int64],
    packs: NDArray[np.object_],
    champion: NDArray[np.float32],
    challenger: NDArray[np.float32],
    *,
    seed: int,
    unit: str = "pack",
) -> GateDecision:
    """Compare two models' predictions for the same sounds, which neither of them has learned.

    Parameters
    ----------
    category_indices : ndarray of shape (n_sounds,), int64
        The true categories.
    packs : ndarray of shape (n_sounds,), object
        `str` that identifies a pack; the bootstrap draws whole packs. The reason calls them `unit`.
    champion, challenger : ndarray of shape (n_sounds, 12), float32
        Probabilities.
    """
    n_packs = len(set(packs))
    if not is_enough(len(packs), n_packs):
        return GateDecision(
            False,
            f"too few held-out sounds to compare on: {_count(len(packs), 'sound')} in "
            f"{_count(n_packs, unit)} that neither model was trained on; at least "
            f"{FEWEST_SOUNDS} in {FEWEST_PACKS} are needed",
            is_proven=False,
        )
    old, new = evaluate(category_indices, champion), evaluate(category_indices, challenger)
    share = _share_better(category_indices, packs, champion, challenger, seed)
    return GateDecision(*_decide(old, new, share, unit), old, new, share)


def _decide(old: Evaluation, new: Evaluation, share_better: float, unit: str) -> tuple[bool, str]:
    figures = (
        f"macro F1 {old.macro_f1:.3f} -> {new.macro_f1:.3f}, "
        f"macro precision {old.macro_precision:.3f} -> {new.macro_precision:.3f}"
    )
    for name, before, after in (
        ("macro F1", old.macro_f1, new.macro_f1),
        ("macro precision", old.macro_precision, new.macro_precision),
    ):
        if after < before - _EPSILON:
            return False, f"{name} falls ({figures})"
    for before_score, after_score in zip(old.categories, new.categories, strict=True):
        fall = before_score.f1 - after_score.f1
        if before_score.support >= ENOUGH_SUPPORT and fall > CATEGORY_MARGIN:
            return False, (
                f"{before_score.category} falls from F1 {before_score.f1:.3f} to "
                f"{after_score.f1:.3f}, by more than {CATEGORY_MARGIN} ({figures})"
            )
    better = f"better in {share_better:.0%} of {_DRAWS:,} bootstrap draws of {unit}s"
    if share_better < _CONFIDENCE:
        return False, (
            f"the difference is not significant: {better}, {_CONFIDENCE:.0%} are needed ({figures})"
        )
    return True, f"{better} ({figures})"


def _share_better(
    truth: NDArray[np.int64],
    packs: NDArray[np.object_],
    champion: NDArray[np.float32],
    challenger: NDArray[np.float32],
    seed: int,
) -> float:
    """Return the share of draws of packs, with replacement, in which the challenger's F1 is higher.

    F1 is macro F1 over the categories in a draw.
    """
    _, pack = np.unique(packs.astype(str), return_inverse=True)
    n_packs = int(pack.max()) + 1
    draws = np.random.default_rng(seed).multinomial(
        n_packs, np.full(n_packs, 1 / n_packs), size=_DRAWS
    )
    scores = []
    for probabilities in (champion, challenger):
        predicted = probabilities.argmax(axis=1)
        # F1's counts by pack and category: true positives, actual sounds, predicted sounds.
        right, true, positive = (np.zeros((n_packs, N_CATEGORIES)) for _ in range(3))
        np.add.at(right, (pack, truth), predicted == truth)
        np.add.at(true, (pack, truth), 1)
        np.add.at(positive, (pack, predicted), 1)
        support = draws @ true
        f1 = 2 * (draws @ right) / np.maximum(support + draws @ positive, 1)
        present = support > 0
        scores.append((f1 * present).sum(axis=1) / np.maximum(present.sum(axis=1), 1))
    return float((scores[1] > scores[0]).mean())


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
