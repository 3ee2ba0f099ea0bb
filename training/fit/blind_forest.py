"""Ablation: a forest fitted without some of its inputs, to measure what they contribute."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from classifier.categories import N_CATEGORIES
from classifier.model.pooling import N_NAME_LOGS

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

#: Columns of `classifier.model.forest.forest_inputs` from the general LSTM, and from both LSTMs.
GENERAL_LSTM: Final = slice(0, N_CATEGORIES)
NAMES: Final = slice(0, N_NAME_LOGS)


@dataclass(frozen=True)
class BlindForest:
    """A forest that is fitted and predicts without the `hidden` columns."""

    forest: "RandomForestClassifier"
    hidden: slice

    @property
    def classes_(self) -> NDArray[np.int64]:
        """The categories of `predict_proba`'s columns, as in any scikit-learn classifier."""
        return np.asarray(self.forest.classes_)

    def predict_proba(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of each category for each row."""
        return np.asarray(self.forest.predict_proba(without_columns(inputs, self.hidden)))


def without_columns(inputs: NDArray[np.float32], hidden: slice) -> NDArray[np.float32]:
    """Return a copy with the `hidden` columns set to zero, so that no tree can split on them."""
    seen = inputs.copy()
    seen[:, hidden] = 0
    return seen
