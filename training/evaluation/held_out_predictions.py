"""Asking a fitted system about some rows of a table, as it would be asked in service.

In service the names of a folder are known whether anybody asks about them or not. So a system that
reads mates is told the names of the other rows, also of those it learned from; never their labels.
"""

import numpy as np
from numpy.typing import NDArray

from training.baselines.published_method import FittedSystem
from training.data.dataset import LabelledSounds
from training.data.splits import Rows
from training.fit.stack_fit import FittedModels


def ask(
    fitted: FittedSystem | FittedModels,
    sounds: LabelledSounds,
    tested: Rows,
    others: LabelledSounds | None = None,
) -> NDArray[np.float32]:
    """Return the probabilities of the categories of the tested rows.

    Parameters
    ----------
    tested : ndarray of int64
        Rows of `sounds`.
    others : LabelledSounds, optional
        Further sounds that may be mates of the tested.

    Returns
    -------
    ndarray of shape (n_tested, 12), float32
    """
    asked = sounds.take(tested)
    if not isinstance(fitted, FittedModels):
        return fitted.probabilities(asked)
    rest = sounds.take(np.setdiff1d(np.arange(len(sounds)), tested))
    return fitted.probabilities(asked, rest if others is None else rest.joined(others))
