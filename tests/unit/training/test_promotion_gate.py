"""The gate: who is promoted, who is not, and what it says."""

import numpy as np
import pytest

from classifier.categories import N_CATEGORIES
from training.runs.promotion_gate import (
    CATEGORY_MARGIN,
    ENOUGH_SUPPORT,
    FEWEST_PACKS,
    FEWEST_SOUNDS,
    judge,
)


def answers(said):
    probabilities = np.full((len(said), N_CATEGORIES), 0.01, dtype=np.float32)
    probabilities[np.arange(len(said)), said] = 0.89
    return probabilities


def sounds(n_packs=20, of_each=20, n_categories=2):
    """The truth and the packs of sounds whose categories are spread evenly over all packs."""
    truth = np.tile(np.arange(n_categories), n_packs * of_each // n_categories)
    packs = np.repeat([f"pack {i}" for i in range(n_packs)], of_each).astype(object)
    return truth.astype(np.int64), packs


def wrong(truth, share, *, seed=0, category=None):
    """Answers of which a share is wrong, everywhere or in one category."""
    said = truth.copy()
    at = np.flatnonzero(truth == category) if category is not None else np.arange(len(truth))
    chosen = np.random.default_rng(seed).choice(at, int(share * len(at)), replace=False)
    said[chosen] = (said[chosen] + 1) % (truth.max() + 1)
    return answers(said)


def test_a_challenger_that_is_better_everywhere_is_promoted():
    truth, packs = sounds()
    verdict = judge(truth, packs, wrong(truth, 0.3), wrong(truth, 0.05), seed=0)
    assert verdict.promote
    assert "macro F1 0.7" in verdict.reason
    assert verdict.share_better == 1.0


def test_a_challenger_with_equal_predictions_is_not_promoted():
    truth, packs = sounds()
    verdict = judge(truth, packs, wrong(truth, 0.1), wrong(truth, 0.1), seed=0)
    assert not verdict.promote
    assert "is not significant" in verdict.reason


def test_a_worse_challenger_is_not_promoted_and_the_reason_states_where():
    truth, packs = sounds()
    verdict = judge(truth, packs, wrong(truth, 0.05), wrong(truth, 0.3), seed=0)
    assert not verdict.promote
    assert verdict.reason.startswith("macro F1 falls (macro F1 0.9")


def test_a_challenger_better_in_only_one_pack_is_not_significant():
    # Given a champion that is wrong about a whole pack and a challenger that is not
    truth, packs = sounds()
    said = truth.copy()
    said[packs == "pack 3"] = 1 - said[packs == "pack 3"]
    verdict = judge(truth, packs, answers(said), answers(truth), seed=0)
    # Then a draw of packs in three holds no such pack, and shows no difference
    assert 0.5 < verdict.share_better < 0.8
    assert not verdict.promote


def test_a_challenger_worse_in_a_category_with_enough_sounds_is_not_promoted():
    truth, packs = sounds(n_packs=40, of_each=30, n_categories=3)
    champion = wrong(truth, 0.5, category=0)
    # Category 2 loses a fifth, category 0 gains half.
    challenger = wrong(truth, 0.2, category=2)
    verdict = judge(truth, packs, champion, challenger, seed=0)
    assert not verdict.promote
    assert "drum falls from F1" in verdict.reason
    assert f"by more than {CATEGORY_MARGIN}" in verdict.reason


def test_a_category_with_few_sounds_decides_nothing():
    truth, packs = sounds(n_packs=40, of_each=30, n_categories=2)
    rare = np.linspace(0, len(truth) - 1, ENOUGH_SUPPORT - 1).astype(int)
    truth[rare] = 5
    champion = wrong(np.where(truth == 5, 0, truth), 0.4)
    champion[rare] = answers(np.full(len(rare), 5))
    challenger = answers(np.where(truth == 5, 0, truth))
    challenger[rare[: len(rare) // 2]] = answers(np.full(len(rare) // 2, 5))
    verdict = judge(truth, packs, champion, challenger, seed=0)
    assert "by more than" not in verdict.reason


@pytest.mark.parametrize(
    ("n_packs", "of_each"), [(FEWEST_PACKS - 1, 100), (FEWEST_PACKS, FEWEST_SOUNDS // 5 - 2)]
)
def test_too_few_sounds_or_packs_decide_nothing(n_packs, of_each):
    truth, packs = sounds(n_packs=n_packs, of_each=of_each)
    verdict = judge(truth, packs, wrong(truth, 0.4), answers(truth), seed=0)
    assert not verdict.promote
    assert "too few held-out sounds" in verdict.reason
    assert verdict.challenger is None


def test_an_empty_holdout_is_reported():
    nothing = np.zeros((0, N_CATEGORIES), dtype=np.float32)
    none = np.array([], dtype=object)
    verdict = judge(np.array([], dtype=np.int64), none, nothing, nothing, seed=0)
    assert "0 sounds in 0 packs" in verdict.reason
