"""Pack-mates among the rows of a table.

`classifier.names.pack_mates` and `classifier.model.encoder` do the same for a folder on disk. In
production at most 64 files represent a folder; here all its rows are pack-mates. The means are
nearly equal.
"""

import numpy as np
from numpy.typing import NDArray

from classifier.model.arrays import WordCounts
from classifier.model.pooling import PackMateSummary, confident_shares
from classifier.names.pack_mates import PackMates, pack_mates_of
from classifier.names.tokens import tokenise
from training.data.dataset import LabelledSounds


def tokens_of(sounds: LabelledSounds) -> list[list[str]]:
    """Return the tokens of each name; a number that counts a folder's files is not a tempo."""
    return [
        tokenise(name, frozenset() if mates is None else mates.counting(name))
        for name, mates in zip(sounds.names, mates_in(sounds), strict=True)
    ]


def mates_in(sounds: LabelledSounds) -> list[PackMates | None]:
    """Return each sound's pack-mates among these sounds; None if its folder is unknown."""
    names_in: dict[str, list[str]] = {}
    for name, folder in zip(sounds.names, sounds.folders, strict=True):
        if folder:
            names_in.setdefault(folder, []).append(name)
    mates = {folder: pack_mates_of(names) for folder, names in names_in.items()}
    return [mates.get(folder) for folder in sounds.folders]


def summaries_of(
    groups: NDArray[np.object_], logs: NDArray[np.float32], words: WordCounts
) -> PackMateSummary:
    """Summarise for each row the predictions for its group, including the row itself.

    Parameters
    ----------
    groups : ndarray of shape (n_rows,), object
        `str`; rows with "" have no group.
    logs : ndarray of shape (n_rows, 24), float32
        From `classifier.model.pooling.name_logs`.
    words : ndarray of shape (n_rows, 14), float32
        From `classifier.model.confidence.word_counts`.
    """
    _, group = np.unique(groups.astype(str), return_inverse=True)
    order = np.argsort(group, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(group))[:-1])
    shares = np.stack([confident_shares(logs[rows]) for rows in members])[group]
    shares[groups == ""] = 1.0
    return PackMateSummary(means_over(groups, logs), shares, folder_words(groups, words))


def folder_words(groups: NDArray[np.object_], words: WordCounts) -> WordCounts:
    """Return for each row the sum over its group; zeros for rows without a group."""
    _, group = np.unique(groups.astype(str), return_inverse=True)
    sums = np.zeros((group.max() + 1, words.shape[1]), np.float32)
    np.add.at(sums, group, words)
    return np.where((groups == "")[:, None], np.float32(0), sums[group])


def means_over(groups: NDArray[np.object_], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return for each row the mean over its group; NaN for rows without a group.

    `groups` is as for `summaries_of`; `values` has the shape (n_rows, n_values).
    """
    _, group = np.unique(groups.astype(str), return_inverse=True)
    counts = np.bincount(group)
    columns = [np.bincount(group, weights=column) / counts for column in values.T]
    means = np.stack(columns, axis=1)[group].astype(np.float32)
    means[groups == ""] = np.nan
    return means
