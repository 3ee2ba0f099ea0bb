"""Figures about confidence, against numbers worked out by hand."""

import numpy as np
import pytest

from training.fit.reliability import calibration_error, coverage_at_precision, reliability_bins


def test_predictions_are_binned_by_confidence_without_empty_bins():
    confidence = np.array([0.05, 0.06, 0.95, 1.0])
    bins = reliability_bins(confidence, np.array([False, True, True, True]))
    assert [one.n_sounds for one in bins] == [2, 2]
    assert bins[0].confidence == pytest.approx(0.055)
    assert bins[0].accuracy == 0.5
    assert bins[1].upper == 1.0


def test_the_calibration_error_is_the_gap_weighted_by_sounds():
    # Three sounds at 0.9, of whom two are right (gap 0.2333), one at 0.5 that is wrong (gap 0.5).
    bins = reliability_bins(np.array([0.9, 0.9, 0.9, 0.5]), np.array([True, True, False, False]))
    assert calibration_error(bins) == pytest.approx((3 * (0.9 - 2 / 3) + 0.5) / 4)


def test_coverage_extends_to_the_last_threshold_that_keeps_the_precision():
    # Right, right, wrong, right, wrong: three of four are 0.75, three of five are not.
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    right = np.array([True, True, False, True, False])
    assert coverage_at_precision(confidence, right, 0.75) == 0.8


def test_sounds_of_equal_confidence_are_counted_together():
    confidence = np.array([0.9, 0.9, 0.4])
    right = np.array([True, False, True])
    assert coverage_at_precision(confidence, right, 0.95) == 0.0


def test_coverage_is_zero_if_the_most_confident_are_wrong():
    assert coverage_at_precision(np.array([0.9]), np.array([False]), 0.95) == 0.0
