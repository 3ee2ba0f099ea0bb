"""Calibration: found on answers, by what they rest on."""

import numpy as np
import pytest

from classifier.categories import N_CATEGORIES
from classifier.model.confidence import Calibration, KindCalibration
from classifier.model.evidence import KINDS, Evidence
from classifier.model.forest import calibrated
from training.fit.calibration import (
    ALWAYS_REVIEW,
    FEWEST_OF_A_KIND,
    HIGHEST_TEMPERATURE,
    LOWEST_TEMPERATURE,
    fit_calibration,
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
def test_the_temperature_makes_confidence_match_accuracy(confidence, accuracy):
    truth, probabilities = answers(confidence, accuracy)
    temperature = fit_temperature(truth, probabilities, np.ones(len(truth)))
    assert calibrated(probabilities, temperature).max(axis=1).mean() == pytest.approx(
        accuracy, abs=0.03
    )


def test_sounds_of_zero_weight_do_not_count():
    truth, probabilities = answers(0.9, 0.6)
    right = probabilities.argmax(axis=1) == truth
    weights = right.astype(np.float64)
    assert fit_temperature(truth, probabilities, weights) < 1


def test_predictions_that_are_all_right_or_all_wrong_give_a_bounded_temperature():
    truth, right = answers(0.6, 1.0)
    assert fit_temperature(truth, right, np.ones(len(truth))) == pytest.approx(LOWEST_TEMPERATURE)
    truth, wrong = answers(0.999, 0.0)
    assert fit_temperature(truth, wrong, np.ones(len(truth))) == pytest.approx(HIGHEST_TEMPERATURE)


def test_calibration_changes_no_category_and_keeps_zero_probabilities():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(N_CATEGORIES), 50).astype(np.float32)
    probabilities[:, 3] = 0
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    for temperature in (0.25, 1.0, 4.0):
        found = calibrated(probabilities, temperature)
        assert (found.argmax(axis=1) == probabilities.argmax(axis=1)).all()
        assert (found[:, 3] == 0).all()
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_the_review_threshold_is_where_precision_falls():
    # Given a thousand sure answers, 98 % of them right, and as many less sure, half of them right
    sure_truth, sure_answers = answers(0.9, 0.98)
    vague_truth, vague_answers = answers(0.4, 0.5)
    truth = np.concatenate([sure_truth, vague_truth])
    probabilities = np.concatenate([sure_answers, vague_answers])
    # When the threshold is looked for, then the sure are left alone and the vague reviewed
    assert review_threshold(truth, probabilities) == pytest.approx(0.9)


def test_predictions_of_equal_confidence_are_all_reviewed_or_none():
    truth, probabilities = answers(0.9, 0.85)
    assert review_threshold(truth, probabilities) == ALWAYS_REVIEW


def test_if_no_threshold_reaches_the_precision_the_closest_one_is_used():
    # Given answers of which no surer half is right often enough
    truth, probabilities = answers(0.9, 0.93)
    # When the threshold is looked for, then the nearest precision counts
    assert review_threshold(truth, probabilities) == pytest.approx(0.9)


def answers_by_kind(*kinds):
    """Answers of (kind of evidence, confidence, accuracy), a thousand or so many of each."""
    parts = [answers(confidence, accuracy, *n) for _, confidence, accuracy, *n in kinds]
    truth, probabilities = (np.concatenate(part) for part in zip(*parts, strict=True))
    indices = [KINDS.index(kind) for kind, *_ in kinds]
    return truth, probabilities, np.repeat(indices, [len(part[0]) for part in parts])


def calibrated_by_kind(*kinds, prior=None):
    truth, probabilities, indices = answers_by_kind(*kinds)
    calibration, review_below = fit_calibration(
        truth, probabilities, indices, np.ones(len(truth)), prior
    )
    over_all = calibrated(probabilities, calibration.temperature)
    found = calibration.applied(over_all, indices).max(axis=1)
    surest = {KINDS[index]: float(found[indices == index].max()) for index in set(indices)}
    return calibration, review_below, surest


def test_one_threshold_holds_for_each_kind_of_evidence():
    # Given answers that are equally sure, right with a word in the name, often wrong without
    _, review_below, surest = calibrated_by_kind(
        (Evidence.NAME, 0.9, 0.96), (Evidence.PACK_MATES, 0.9, 0.97),
        (Evidence.CONTRADICTED, 0.9, 0.6), (Evidence.NONE, 0.9, 0.97),
    )  # fmt: skip
    # Then those are left alone, these reviewed, and so is whatever has no evidence, if right or not
    assert surest[Evidence.NAME] >= review_below
    assert surest[Evidence.PACK_MATES] >= review_below
    assert surest[Evidence.CONTRADICTED] < review_below
    assert surest[Evidence.NONE] < review_below


def test_a_rare_kind_of_evidence_is_calibrated_with_the_others():
    prior = Calibration(1.0, {Evidence.PACK_MATES: KindCalibration(2.0, 0.7)})
    calibration, *_ = calibrated_by_kind(
        (Evidence.NAME, 0.9, 0.97),
        (Evidence.PACK_MATES, 0.9, 0.1, FEWEST_OF_A_KIND - 1),
        prior=prior,
    )
    assert calibration.by_kind.keys() == {Evidence.NAME, Evidence.PACK_MATES}
    assert calibration.by_kind[Evidence.PACK_MATES] == KindCalibration(2.0, 0.7)
