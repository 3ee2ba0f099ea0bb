"""The forest: inputs on a grid, finite, with flags for what is missing."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from classifier.categories import N_CATEGORIES
from classifier.model.forest import (
    GRID_STEPS,
    MOST_DEVIATIONS,
    fit_forest,
    fit_scaler,
    forest_inputs,
    forest_probabilities,
    is_steady,
)
from classifier.model.pooling import CONFIDENT_LOG, name_logs

HEADERS = np.array([[1.0, np.nan], [3.0, np.nan]], dtype=np.float32)
NO_OPINION = np.full((2, N_CATEGORIES), 1 / N_CATEGORIES, dtype=np.float32)


def confident_logs(*categories):
    probabilities = np.eye(N_CATEGORIES, dtype=np.float32)[list(categories)]
    return name_logs(probabilities, probabilities)


def test_a_missing_value_becomes_the_mean_and_is_flagged():
    inputs = forest_inputs(NO_OPINION, HEADERS, fit_scaler(HEADERS))
    assert inputs[:, N_CATEGORIES:].tolist() == [[-1, 0, 0, 1], [1, 0, 0, 1]]


def test_an_extreme_value_is_clipped():
    freak = np.array([[1e30, 0.0]], dtype=np.float32)
    inputs = forest_inputs(NO_OPINION[:1], freak, fit_scaler(HEADERS))
    assert inputs[0, N_CATEGORIES] == MOST_DEVIATIONS


def test_every_input_is_rounded_to_the_grid():
    rng = np.random.default_rng(0)
    headers = rng.normal(size=(50, 2)).astype(np.float32)
    probabilities = rng.dirichlet(np.ones(N_CATEGORIES), 50).astype(np.float32)
    steps = forest_inputs(probabilities, headers, fit_scaler(headers)) * GRID_STEPS
    assert (steps == np.round(steps)).all()


def test_a_value_halfway_between_two_grid_points_is_unstable():
    on_border = NO_OPINION.copy()
    on_border[0, 0] = 10.5 / GRID_STEPS
    on_border[:, 1:] = 0.0
    on_border[1, 0] = 10.0 / GRID_STEPS
    assert is_steady(confident_logs(1, 2), on_border, HEADERS, fit_scaler(HEADERS)).tolist() == [
        False,
        True,
    ]


def test_a_category_without_training_rows_has_probability_zero():
    # Given a forest fitted on categories 2 and 7 only
    inputs = np.array([[0.0], [1.0]] * 10, dtype=np.float32)
    categories = np.array([2, 7] * 10)
    forest = fit_forest(inputs, categories, np.ones(20), seed=0)
    # When it is asked
    probabilities = forest_probabilities(forest, inputs[:2])
    # Then those two share the whole
    assert probabilities.shape == (2, N_CATEGORIES)
    assert probabilities.argmax(axis=1).tolist() == [2, 7]
    assert np.delete(probabilities, [2, 7], axis=1).sum() == 0


def test_a_name_at_the_confidence_threshold_is_unstable():
    logs = confident_logs(3, 3)
    logs[0, 3] = CONFIDENT_LOG
    steady = is_steady(logs, NO_OPINION, HEADERS, fit_scaler(HEADERS))
    assert steady.tolist() == [False, True]
