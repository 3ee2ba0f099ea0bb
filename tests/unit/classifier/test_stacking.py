"""What the forest reads: on a grid, finite, with flags for what is missing."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from classifier.categories import N_CATEGORIES
from classifier.model.stacking import (
    GRID_STEPS,
    MOST_DEVIATIONS,
    SURE_LOG,
    MatesSaid,
    fit_forest,
    fit_scaler,
    forest_inputs,
    forest_probabilities,
    is_steady,
    name_logs,
    pooled,
    sure_shares,
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
    on_border[:, 1:] = 0.0
    on_border[1, 0] = 10.0 / GRID_STEPS
    assert is_steady(logs_of(1, 2), on_border, HEADERS, fit_scaler(HEADERS)).tolist() == [
        False,
        True,
    ]


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


def logs_of(*categories):
    said = SURE[list(categories)]
    return name_logs(said, said)


def folder_of(*categories):
    """What is said of a folder of such sure names, as of one sound of it."""
    logs = logs_of(*categories)
    return MatesSaid(logs.mean(axis=0, keepdims=True), sure_shares(logs)[None])


def answer(own, said):
    return int(together(pooled(logs_of(own), *said)).argmax())


def test_a_sound_whose_mates_are_not_known_is_what_its_name_says():
    assert answer(4, MatesSaid.unknown(1)) == 4


def test_mates_that_agree_outweigh_a_name_that_is_alone_with_what_it_says():
    assert answer(4, folder_of(4, *[2] * 9)) == 2


def test_a_sure_name_that_a_fifth_of_the_sure_ones_agree_with_is_not_outvoted():
    assert answer(4, folder_of(4, 4, *[2] * 8)) == 4


def test_in_a_folder_of_everything_a_name_speaks_for_itself():
    assert answer(4, folder_of(4, 1, 1, 1, 1, 2, 2, 2, 3, 3, 7)) == 4


def test_a_name_that_says_nothing_is_what_most_of_its_mates_are():
    nothing = np.full((1, N_CATEGORIES), 1 / N_CATEGORIES, dtype=np.float32)
    logs = name_logs(nothing, nothing)
    assert together(pooled(logs, *folder_of(2, 2, 2, 4))).argmax() == 2


def test_names_of_which_none_is_sure_contradict_nobody():
    nothing = np.full((3, N_CATEGORIES), 1 / N_CATEGORIES, dtype=np.float32)
    assert sure_shares(name_logs(nothing, nothing)).tolist() == [1.0] * N_CATEGORIES


def test_what_each_lstm_says_is_pooled_apart_and_sums_to_one():
    rng = np.random.default_rng(0)
    said = [rng.dirichlet(np.ones(N_CATEGORIES), 9).astype(np.float32) for _ in range(4)]
    shares = rng.dirichlet(np.ones(N_CATEGORIES), 9).astype(np.float32)
    found = pooled(name_logs(*said[:2]), name_logs(*said[2:]), shares)
    np.testing.assert_allclose(found.reshape(9, 2, N_CATEGORIES).sum(axis=2), 1, rtol=1e-5)


def test_a_name_on_the_border_of_being_sure_is_not_steady():
    logs = logs_of(3, 3)
    logs[0, 3] = SURE_LOG
    steady = is_steady(logs, NO_OPINION, HEADERS, fit_scaler(HEADERS))
    assert steady.tolist() == [False, True]
