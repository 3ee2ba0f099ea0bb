"""How predictions for a name are pooled with those for its pack-mates."""

import numpy as np

from classifier.categories import N_CATEGORIES
from classifier.model.pooling import (
    PackMateSummary,
    confident_shares,
    mean_over_lstms,
    name_logs,
    pooled,
)

CONFIDENT = np.eye(N_CATEGORIES, dtype=np.float32)


def logs_of(*categories):
    probabilities = CONFIDENT[list(categories)]
    return name_logs(probabilities, probabilities)


def folder_of(*categories):
    """The summary of a folder of such confident names, as for one sound of it."""
    logs = logs_of(*categories)
    return PackMateSummary.unknown(1)._replace(
        logs=logs.mean(axis=0, keepdims=True), shares=confident_shares(logs)[None]
    )


def answer(own, summary):
    return int(mean_over_lstms(pooled(logs_of(own), summary)).argmax())


def test_a_sound_whose_mates_are_not_known_is_what_its_name_says():
    assert answer(4, PackMateSummary.unknown(1)) == 4


def test_mates_that_agree_outweigh_a_name_that_is_alone_with_what_it_says():
    assert answer(4, folder_of(4, *[2] * 9)) == 2


def test_a_sure_name_that_a_fifth_of_the_sure_ones_agree_with_is_not_outvoted():
    assert answer(4, folder_of(4, 4, *[2] * 8)) == 4


def test_in_a_folder_of_everything_a_name_speaks_for_itself():
    assert answer(4, folder_of(4, 1, 1, 1, 1, 2, 2, 2, 3, 3, 7)) == 4


def test_a_name_that_says_nothing_is_what_most_of_its_mates_are():
    nothing = np.full((1, N_CATEGORIES), 1 / N_CATEGORIES, dtype=np.float32)
    logs = name_logs(nothing, nothing)
    assert mean_over_lstms(pooled(logs, folder_of(2, 2, 2, 4))).argmax() == 2


def test_names_of_which_none_is_sure_contradict_nobody():
    nothing = np.full((3, N_CATEGORIES), 1 / N_CATEGORIES, dtype=np.float32)
    assert confident_shares(name_logs(nothing, nothing)).tolist() == [1.0] * N_CATEGORIES


def test_what_each_lstm_says_is_pooled_apart_and_sums_to_one():
    rng = np.random.default_rng(0)
    said = [rng.dirichlet(np.ones(N_CATEGORIES), 9).astype(np.float32) for _ in range(4)]
    shares = rng.dirichlet(np.ones(N_CATEGORIES), 9).astype(np.float32)
    summary = PackMateSummary.unknown(len(shares))._replace(
        logs=name_logs(*said[2:]), shares=shares
    )
    probabilities = pooled(name_logs(*said[:2]), summary)
    np.testing.assert_allclose(probabilities.reshape(9, 2, N_CATEGORIES).sum(axis=2), 1, rtol=1e-5)
