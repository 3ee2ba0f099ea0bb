"""Temperatures: found on answers, applied to answers, kept in a bundle."""

import numpy as np
import pytest

from classifier.categories import N_CATEGORIES
from classifier.model.forest import calibrated, temperature_from_json, temperature_to_json
from training.fit.calibration import (
    ALWAYS_REVIEW,
    HIGHEST_TEMPERATURE,
    LOWEST_TEMPERATURE,
    fit_temperature,
    review_threshold,
)


def sure(confidence, said):
    rest = (1 - confidence) / (N_CATEGORIES - 1)
    probabilities = np.full((len(said), N_CATEGORIES), rest, dtype=np.float32)
    probabilities[np.arange(len(said)), said] = confidence
    return probabilities


def answers(confidence, accuracy, n_sounds=1000):
    """Answers of one confidence, of which this share is right."""
    truth = np.zeros(n_sounds, dtype=np.int64)
    said = truth.copy()
    said[int(accuracy * n_sounds) :] = 1
    return truth, sure(confidence, said)


@pytest.mark.parametrize(("confidence", "accuracy"), [(0.9, 0.6), (0.5, 0.8), (0.7, 0.7)])
def test_the_temperature_makes_confidence_what_it_says(confidence, accuracy):
    truth, probabilities = answers(confidence, accuracy)
    temperature = fit_temperature(truth, probabilities, np.ones(len(truth)))
    assert calibrated(probabilities, temperature).max(axis=1).mean() == pytest.approx(
        accuracy, abs=0.03
    )


def test_sounds_that_weigh_nothing_count_for_nothing():
    truth, probabilities = answers(0.9, 0.6)
    right = probabilities.argmax(axis=1) == truth
    weights = right.astype(np.float64)
    assert fit_temperature(truth, probabilities, weights) < 1


def test_answers_that_are_always_right_or_always_wrong_stay_within_bounds():
    truth, right = answers(0.6, 1.0)
    assert fit_temperature(truth, right, np.ones(len(truth))) == pytest.approx(LOWEST_TEMPERATURE)
    truth, wrong = answers(0.999, 0.0)
    assert fit_temperature(truth, wrong, np.ones(len(truth))) == pytest.approx(HIGHEST_TEMPERATURE)


def test_calibration_changes_no_category_and_keeps_what_is_impossible_impossible():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(N_CATEGORIES), 50).astype(np.float32)
    probabilities[:, 3] = 0
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    for temperature in (0.25, 1.0, 4.0):
        found = calibrated(probabilities, temperature)
        assert (found.argmax(axis=1) == probabilities.argmax(axis=1)).all()
        assert (found[:, 3] == 0).all()
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_a_temperature_comes_back_from_a_bundle_as_it_was():
    assert temperature_from_json(temperature_to_json(1.2345678901234567)) == 1.2345678901234567


@pytest.mark.parametrize(
    "document", [b"1.5", b"{}", b'{"temperature": 0}', b'{"temperature": "1"}',
                 b'{"temperature": Infinity}', b'{"temperature": NaN}'],
)  # fmt: skip
def test_what_is_no_temperature_is_refused(document):
    with pytest.raises(ValueError, match="temperature above 0"):
        temperature_from_json(document)


def test_what_is_sure_enough_to_be_left_alone_is_found_where_precision_falls():
    # Given a thousand sure answers, 98 % of them right, and as many less sure, half of them right
    sure_truth, sure_answers = answers(0.9, 0.98)
    vague_truth, vague_answers = answers(0.4, 0.5)
    truth = np.concatenate([sure_truth, vague_truth])
    probabilities = np.concatenate([sure_answers, vague_answers])
    # When the threshold is looked for, then the sure are left alone and the vague reviewed
    assert review_threshold(truth, probabilities) == pytest.approx(0.9)


def test_answers_of_one_confidence_are_left_alone_together_or_not_at_all():
    truth, probabilities = answers(0.9, 0.9)
    assert review_threshold(truth, probabilities) == ALWAYS_REVIEW
