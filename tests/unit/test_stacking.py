"""What the forest reads: on a grid, finite, with flags for what is missing."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from classifier.labels import N_CATEGORIES
from classifier.stacking import (
    GRID_STEPS,
    MOST_DEVIATIONS,
    fit_forest,
    fit_scaler,
    forest_inputs,
    forest_probabilities,
    is_steady,
    name_logs,
    pooled,
    together,
)

HEADERS = np.array([[1.0, np.nan], [3.0, np.nan]], dtype=np.float32)
NO_OPINION = np.full((2, N_CATEGORIES), 1 / N_CATEGORIES, dtype=np.float32)


def test_a_missing_number_is_the_mean_and_flagged():
    inputs = forest_inputs(NO_OPINION, HEADERS, fit_scaler(HEADERS))
    assert inputs[:, N_CATEGORIES:].tolist() == [[-1, 0, 0, 1], [1, 0, 0, 1]]


def test_a_freak_number_is_bounded():
    freak = np.array([[1e30, 0.0]], dtype=np.float32)
    inputs = forest_inputs(NO_OPINION[:1], freak, fit_scaler(HEADERS))
    assert inputs[0, N_CATEGORIES] == MOST_DEVIATIONS


def test_every_input_stands_on_the_grid():
    rng = np.random.default_rng(0)
    headers = rng.normal(size=(50, 2)).astype(np.float32)
    probabilities = rng.dirichlet(np.ones(N_CATEGORIES), 50).astype(np.float32)
    steps = forest_inputs(probabilities, headers, fit_scaler(headers)) * GRID_STEPS
    assert (steps == np.round(steps)).all()


def test_a_value_on_the_border_of_two_grid_points_is_not_steady():
    on_border = NO_OPINION.copy()
    on_border[0, 0] = 10.5 / GRID_STEPS
    on_border[1, 0] = 10.0 / GRID_STEPS
    assert is_steady(on_border, HEADERS, fit_scaler(HEADERS)).tolist() == [False, True]


def test_a_category_the_forest_never_saw_has_probability_zero():
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


SURE = np.eye(N_CATEGORIES, dtype=np.float32)
NOT_KNOWN = np.full((1, 2 * N_CATEGORIES), np.nan, dtype=np.float32)


def test_a_sound_whose_mates_are_not_known_is_what_its_name_says():
    logs = name_logs(SURE[4:5], SURE[4:5])
    assert together(pooled(logs, NOT_KNOWN)).argmax() == 4


def test_mates_that_agree_outweigh_a_name_that_does_not():
    own, mates = name_logs(SURE[4:5], SURE[4:5]), name_logs(SURE[2:3], SURE[2:3])
    assert together(pooled(own, mates)).argmax() == 2


def test_what_each_lstm_says_is_pooled_apart_and_sums_to_one():
    rng = np.random.default_rng(0)
    said = [rng.dirichlet(np.ones(N_CATEGORIES), 9).astype(np.float32) for _ in range(4)]
    found = pooled(name_logs(*said[:2]), name_logs(*said[2:]))
    np.testing.assert_allclose(found.reshape(9, 2, N_CATEGORIES).sum(axis=2), 1, rtol=1e-5)
