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


def test_without_mates_the_prediction_of_the_name_is_used():
    assert answer(4, PackMateSummary.unknown(1)) == 4


def test_mates_that_agree_outweigh_a_single_contradicting_name():
    assert answer(4, folder_of(4, *[2] * 9)) == 2


def test_a_confident_name_supported_by_a_fifth_of_its_mates_is_kept():
    assert answer(4, folder_of(4, 4, *[2] * 8)) == 4


def test_in_a_mixed_folder_the_prediction_of_the_name_is_used():
    assert answer(4, folder_of(4, 1, 1, 1, 1, 2, 2, 2, 3, 3, 7)) == 4


def test_a_name_without_evidence_gets_the_most_frequent_category_of_its_mates():
    nothing = np.full((1, N_CATEGORIES), 1 / N_CATEGORIES, dtype=np.float32)
    logs = name_logs(nothing, nothing)
    assert mean_over_lstms(pooled(logs, folder_of(2, 2, 2, 4))).argmax() == 2


def test_names_without_confidence_contradict_no_name():
    nothing = np.full((3, N_CATEGORIES), 1 / N_CATEGORIES, dtype=np.float32)
    assert confident_shares(name_logs(nothing, nothing)).tolist() == [1.0] * N_CATEGORIES


def test_each_lstm_is_pooled_separately_and_sums_to_one():
    rng = np.random.default_rng(0)
    said = [rng.dirichlet(np.ones(N_CATEGORIES), 9).astype(np.float32) for _ in range(4)]
    shares = rng.dirichlet(np.ones(N_CATEGORIES), 9).astype(np.float32)
    summary = PackMateSummary.unknown(len(shares))._replace(
        logs=name_logs(*said[2:]), shares=shares
    )
    probabilities = pooled(name_logs(*said[:2]), summary)
    np.testing.assert_allclose(probabilities.reshape(9, 2, N_CATEGORIES).sum(axis=2), 1, rtol=1e-5)
