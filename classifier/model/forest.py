"""The random forest: its inputs, its fit, its calibrated probabilities.

All inputs are rounded to a binary grid. Trees then split between grid points, at thresholds that
float32 represents exactly. TensorFlow and ONNX Runtime differ by 1e-7, which the rounding removes,
so both engines take the same branches (decision 4).

scikit-learn is imported inside the functions that fit: a worker on the default engine never needs
it.
"""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.categories import N_CATEGORIES
from classifier.model.arrays import ByLstm, HeaderMatrix, Probabilities
from classifier.model.pooling import CONFIDENT_LOG

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.preprocessing import StandardScaler

#: Grid points per unit. A power of two makes every grid point exact. Histogram-based trees also use
#: 256 levels, and on a coarse grid fewer values lie on a border.
GRID_STEPS: Final = 256

#: Scaled header values are clipped to this many standard deviations; values beyond are forged or
#: extreme outliers.
MOST_DEVIATIONS: Final = 16.0

#: ONNX Runtime needs about 1 kB per node, and a worker has 250 MB in all. In a trial on the public
#: corpus, full trees (224,000 nodes) scored 0.946 accuracy / 0.88 macro F1 on a random split and
#: 0.44 / 0.15 on held-out vendors; these (38,336 nodes) 0.945 / 0.87 and 0.45 / 0.15.
N_TREES: Final = 64
MOST_LEAVES: Final = 300


def fit_scaler(headers: HeaderMatrix) -> "StandardScaler":
    """Fit the standard scaler, ignoring NaN column by column.

    A column that is all NaN gets mean 0 and scale 1, never NaN.
    """
    from sklearn.preprocessing import StandardScaler

    all_stated_nowhere = np.isnan(headers).all(axis=0)
    filled = np.where(all_stated_nowhere, np.float64(0), headers.astype(np.float64))
    return StandardScaler().fit(filled)


def forest_inputs(
    names: ByLstm, headers: HeaderMatrix, scaler: "StandardScaler"
) -> NDArray[np.float32]:
    """Join `pooled` predictions, the scaled header and flags of missing values.

    Shape (n_sounds, 24 + 2 * 6), on the grid and finite. A missing value becomes 0, the mean, and
    its flag in the last columns is 1, because the compiled forest does not handle NaN faithfully.
    """
    exact = _inputs_off_grid(names, headers, scaler)
    return (np.round(exact * GRID_STEPS) / GRID_STEPS).astype(np.float32)


def is_steady(
    logs: ByLstm, names: ByLstm, headers: HeaderMatrix, scaler: "StandardScaler"
) -> NDArray[np.bool_]:
    """Return which rows keep their grid points when every input moves by 1e-5, shape (n_sounds,).

    On another processor, a row on the border between two grid points may be rounded to the other
    side, and its probabilities then differ visibly. Such a row cannot be a golden vector. Nor can a
    row for which the general LSTM's best value in `logs` is within 1e-5 of `CONFIDENT_LOG`.
    """
    is_clearly_decided = np.abs(logs[:, :N_CATEGORIES].max(axis=1) - CONFIDENT_LOG) > 1e-5
    steps = _inputs_off_grid(names, headers, scaler) * GRID_STEPS
    to_border = np.abs(steps - np.floor(steps) - 0.5)
    return np.asarray((to_border > 1e-5 * GRID_STEPS).all(axis=1) & is_clearly_decided)


def _inputs_off_grid(
    names: ByLstm, headers: HeaderMatrix, scaler: "StandardScaler"
) -> NDArray[np.float64]:
    # In float64, as the compiled graph does: the same bits in both engines.
    scaled = np.asarray(scaler.transform(headers.astype(np.float64)))
    missing = np.isnan(scaled)
    bounded = np.clip(np.where(missing, 0.0, scaled), -MOST_DEVIATIONS, MOST_DEVIATIONS)
    return np.concatenate([names, bounded, missing], axis=1, dtype=np.float64)


def fit_forest(
    inputs: NDArray[np.float32],
    category_indices: NDArray[np.int64],
    weights: NDArray[np.float64],
    *,
    seed: int,
    older: "RandomForestClassifier | None" = None,
    n_kept: int = 0,
) -> "RandomForestClassifier":
    """Fit the forest of `N_TREES` trees; the same seed and rows give the same trees.

    Parameters
    ----------
    inputs : ndarray of shape (n_rows, n_inputs), float32
        From `forest_inputs`, with *out-of-fold* predictions of the learned LSTM.
    older : RandomForestClassifier, optional
        A forest fitted with the same scaler. `n_kept` of its trees replace new ones.
        ValueError if it was fitted on other categories.
    """
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(
        N_TREES - n_kept, max_leaf_nodes=MOST_LEAVES, random_state=seed, n_jobs=-1
    ).fit(inputs, category_indices, sample_weight=weights)
    if older is not None and n_kept:
        if list(older.classes_) != list(forest.classes_):
            raise ValueError("the older forest must have the same categories")
        forest.estimators_ += older.estimators_[:n_kept]
        forest.set_params(n_estimators=N_TREES)
    # Each tree has its own seed, so fitting in parallel is deterministic. Predicting in parallel
    # is not (the order of the sum), and a worker child owns one core.
    forest.set_params(n_jobs=1)
    return forest


def forest_probabilities(forest: Any, inputs: NDArray[np.float32]) -> Probabilities:
    """Return the forest's probabilities, 0 for categories it was not fitted on."""
    probabilities = np.zeros((len(inputs), N_CATEGORIES), dtype=np.float32)
    if len(inputs):
        probabilities[:, forest.classes_] = forest.predict_proba(inputs)
    return probabilities


def calibrated(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Soften (temperature above 1) or sharpen (below 1); the best category stays the same.

    Temperature scaling (Guo et al. 2017), with logarithms of probabilities in place of logits.
    """
    raised = np.power(probabilities, np.float32(1.0 / temperature))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), dtype=np.float32)
