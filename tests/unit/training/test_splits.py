"""Splits: what stands on which side."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pandas")

from training.data.splits import random_folds, random_split, vendor_folds

LABELLED = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 11)), min_size=2, max_size=80
)


@given(LABELLED, st.integers(2, 6), st.integers(0, 3))
def test_no_vendor_is_on_both_sides_and_every_row_is_tested_once(rows, n_folds, seed):
    vendors = np.array([vendor for vendor, _ in rows], dtype=object)
    categories = np.array([category for _, category in rows])
    if len(set(vendors)) < 2:
        with pytest.raises(ValueError, match="two vendors"):
            vendor_folds(vendors, categories, n_folds, seed=seed)
        return
    folds = vendor_folds(vendors, categories, n_folds, seed=seed)
    assert len(folds) == min(n_folds, len(set(vendors)))
    for learned, tested in folds:
        assert len(learned)
        assert len(tested)
        assert not set(vendors[learned]) & set(vendors[tested])
    tested_rows = np.concatenate([tested for _, tested in folds])
    assert sorted(tested_rows) == list(range(len(rows)))


def test_folds_are_balanced_in_size_and_categories():
    # Given ten vendors of ten sounds, half of them all of category 0 and half of category 1
    vendors = np.repeat(np.array(list("abcdefghij"), dtype=object), 10)
    categories = np.repeat([0, 1] * 5, 10)
    # Then each of five folds tests one vendor of either
    for _, tested in vendor_folds(vendors, categories, 5, seed=0):
        assert np.bincount(categories[tested]).tolist() == [10, 10]


@given(st.lists(st.integers(0, 11), min_size=2, max_size=60), st.integers(2, 5))
def test_random_folds_spread_every_category(categories, n_folds):
    categories = np.array(categories)
    folds = random_folds(categories, n_folds, seed=0)
    assert sorted(np.concatenate([tested for _, tested in folds])) == list(range(len(categories)))
    for category in set(categories.tolist()):
        counts = [int((categories[tested] == category).sum()) for _, tested in folds]
        assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("n_sounds", [2, 3, 100, 9_657])
def test_a_third_of_the_rows_is_drawn_at_random(n_sounds):
    learned, tested = random_split(n_sounds, seed=0)
    assert sorted([*learned, *tested]) == list(range(n_sounds))
    assert len(tested) == min(n_sounds - 1, int(np.ceil(0.33 * n_sounds)))


def test_the_split_depends_on_the_seed():
    assert (random_split(50, seed=1)[1] == random_split(50, seed=1)[1]).all()
    assert (random_split(50, seed=1)[1] != random_split(50, seed=2)[1]).any()
