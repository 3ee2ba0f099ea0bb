"""A forest that does not see some of its inputs, to measure what these are worth."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from classifier.categories import N_CATEGORIES
from classifier.model.pooling import N_NAME_LOGS

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

#: Columns of `classifier.model.forest.forest_inputs`: of the general LSTM, and of both LSTMs.
GENERAL_LSTM: Final = slice(0, N_CATEGORIES)
NAMES: Final = slice(0, N_NAME_LOGS)


@dataclass(frozen=True)
class BlindForest:
    """A forest that was fitted without some columns, and predicts without them."""

    forest: "RandomForestClassifier"
    hidden: slice

    @property
    def classes_(self) -> NDArray[np.int64]:
        """The categories of `predict_proba`, as of any classifier of scikit-learn."""
        return np.asarray(self.forest.classes_)

    def predict_proba(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probabilities of each row's categories."""
        return np.asarray(self.forest.predict_proba(without_columns(inputs, self.hidden)))


def without_columns(inputs: NDArray[np.float32], hidden: slice) -> NDArray[np.float32]:
    """Return the inputs with some columns all zero, which no tree can split on."""
    seen = inputs.copy()
    seen[:, hidden] = 0
    return seen
