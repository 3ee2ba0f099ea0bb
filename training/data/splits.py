"""Seeded splits of rows into training and test rows.

Files of one pack share codes and wording. A random split therefore measures known vendors; only a
split by vendor measures how a model performs on a new vendor.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Default reason why a table has no folds by vendor.
NO_VENDORS: Final = "vendors cannot be identified"

Rows = NDArray[np.int64]

#: A fold: training rows and test rows. They are disjoint, ascending, and together all rows.
Fold = tuple[Rows, Rows]


def vendor_folds(
    vendors: NDArray[np.object_], category_indices: NDArray[np.int64], n_folds: int, *, seed: int
) -> list[Fold]:
    """Return folds with no vendor on both sides, balanced by size and categories.

    Vendors are assigned from the largest to the smallest, each to the fold where sizes and
    categories stay most even. A vendor is never split, so folds stay uneven if one vendor dominates
    the table. There are at most as many folds as vendors. Every row is tested once. Raises
    `ValueError` for fewer than two vendors.

    Parameters
    ----------
    vendors : ndarray of shape (n_sounds,), object
    category_indices : ndarray of shape (n_sounds,), int64
    """
    names, vendor_of_row = np.unique(vendors.astype(str), return_inverse=True)
    if len(names) < 2:
        raise ValueError("folds by vendor need at least two vendors")
    n_folds = min(n_folds, len(names))
    # One row per vendor; columns: its rows of each category, and all its rows.
    counts = np.zeros((len(names), int(category_indices.max()) + 1))
    np.add.at(counts, (vendor_of_row, category_indices), 1.0)
    counts = np.column_stack([counts, counts.sum(axis=1)])
    shares = counts / np.maximum(counts.sum(axis=0), 1.0)
    # Largest first; the seed orders vendors of equal size.
    order = np.lexsort((np.random.default_rng(seed).random(len(names)), -counts[:, -1]))
    load = np.zeros((n_folds, shares.shape[1]))
    fold_of_vendor = np.zeros(len(names), dtype=np.int64)
    for vendor in order:
        # Increase of the sum of squared loads; an empty fold always has the smallest.
        growth = (shares[vendor] * (2.0 * load + shares[vendor])).sum(axis=1)
        chosen = int(growth.argmin())
        fold_of_vendor[vendor] = chosen
        load[chosen] += shares[vendor]
    return _folds(fold_of_vendor[vendor_of_row], n_folds)


def random_folds(category_indices: NDArray[np.int64], n_folds: int, *, seed: int) -> list[Fold]:
    """Return `n_folds` random folds, stratified by category; at most as many as rows."""
    n_folds = min(n_folds, len(category_indices))
    drawn = np.random.default_rng(seed).random(len(category_indices))
    dealt = np.empty(len(category_indices), dtype=np.int64)
    dealt[np.lexsort((drawn, category_indices))] = np.arange(len(category_indices)) % n_folds
    return _folds(dealt, n_folds)


def random_split(n_sounds: int, *, seed: int, test_share: float = 0.33) -> Fold:
    """Return a random split of at least two sounds, as in the published method.

    The number of test rows is rounded up; at least one row is left to learn.
    """
    n_test = min(n_sounds - 1, int(np.ceil(n_sounds * test_share)))
    order = np.random.default_rng(seed).permutation(n_sounds)
    return np.sort(order[n_test:]), np.sort(order[:n_test])


def _folds(fold_of_row: NDArray[np.int64], n_folds: int) -> list[Fold]:
    return [
        (np.flatnonzero(fold_of_row != fold), np.flatnonzero(fold_of_row == fold))
        for fold in range(n_folds)
    ]
