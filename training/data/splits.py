"""Splits of rows into those a model learns and those it is tested on, all of them seeded.

Files of one pack share codes and wording. A random split therefore measures vendors already known;
only a split by vendor says how a model does on the next one.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Why there are no folds by vendor where nothing else is known of the table.
NO_VENDORS: Final = "nothing tells vendors apart"

Rows = NDArray[np.int64]

#: A fold: rows to learn from, rows to test on; disjoint, together all rows, both ascending.
Fold = tuple[Rows, Rows]


def vendor_folds(
    vendors: NDArray[np.object_], category_indices: NDArray[np.int64], n_folds: int, *, seed: int
) -> list[Fold]:
    """Return folds in which no vendor stands on both sides, balanced in size and categories.

    The largest vendors are placed first, each into the fold where it leaves sizes and categories
    most even. A vendor is never split, so a table that one vendor dominates stays uneven. There are
    at most as many folds as vendors. Every row is tested once. Raises `ValueError` for fewer than
    two vendors.

    Parameters
    ----------
    vendors : ndarray of shape (n_sounds,), object
    category_indices : ndarray of shape (n_sounds,), int64
    """
    names, vendor_of_row = np.unique(vendors.astype(str), return_inverse=True)
    if len(names) < 2:
        raise ValueError("folds by vendor need at least two vendors")
    n_folds = min(n_folds, len(names))
    # Rows of `counts` are vendors; columns the share each has of a category, and of all rows.
    counts = np.zeros((len(names), int(category_indices.max()) + 1))
    np.add.at(counts, (vendor_of_row, category_indices), 1.0)
    counts = np.column_stack([counts, counts.sum(axis=1)])
    shares = counts / np.maximum(counts.sum(axis=0), 1.0)
    # Largest first; the seed decides between equals.
    order = np.lexsort((np.random.default_rng(seed).random(len(names)), -counts[:, -1]))
    load = np.zeros((n_folds, shares.shape[1]))
    fold_of_vendor = np.zeros(len(names), dtype=np.int64)
    for vendor in order:
        # What the sum of squared loads grows by; an empty fold is always the cheapest.
        growth = (shares[vendor] * (2.0 * load + shares[vendor])).sum(axis=1)
        chosen = int(growth.argmin())
        fold_of_vendor[vendor] = chosen
        load[chosen] += shares[vendor]
    return _folds(fold_of_vendor[vendor_of_row], n_folds)


def random_folds(category_indices: NDArray[np.int64], n_folds: int, *, seed: int) -> list[Fold]:
    """Return at most `n_folds` folds drawn at random within each category, no more than rows."""
    n_folds = min(n_folds, len(category_indices))
    drawn = np.random.default_rng(seed).random(len(category_indices))
    dealt = np.empty(len(category_indices), dtype=np.int64)
    dealt[np.lexsort((drawn, category_indices))] = np.arange(len(category_indices)) % n_folds
    return _folds(dealt, n_folds)


def random_split(n_sounds: int, *, seed: int, test_share: float = 0.33) -> Fold:
    """Return one split of at least two sounds, drawn at random as in the published method.

    `test_share` is rounded up; one row is always left to learn from.
    """
    n_test = min(n_sounds - 1, int(np.ceil(n_sounds * test_share)))
    order = np.random.default_rng(seed).permutation(n_sounds)
    return np.sort(order[n_test:]), np.sort(order[:n_test])


def _folds(fold_of_row: NDArray[np.int64], n_folds: int) -> list[Fold]:
    return [
        (np.flatnonzero(fold_of_row != fold), np.flatnonzero(fold_of_row == fold))
        for fold in range(n_folds)
    ]
