"""The figures of a report, compared with scikit-learn's."""

import json

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import metrics

from classifier.categories import CATEGORIES, N_CATEGORIES
from training.evaluation.metrics import evaluate


def one_hot(indices):
    return np.eye(N_CATEGORIES, dtype=np.float32)[indices]


@pytest.mark.parametrize("seed", range(5))
def test_metrics_match_scikit_learn_over_the_present_categories(seed):
    rng = np.random.default_rng(seed)
    truth = rng.choice([0, 2, 3, 4, 11], 200)
    called = np.where(rng.random(200) < 0.6, truth, rng.integers(0, N_CATEGORIES - 1, 200))
    evaluation = evaluate(truth, one_hot(called))
    present = np.unique(truth)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth, called, labels=present, zero_division=0
    )
    assert evaluation.accuracy == pytest.approx(metrics.accuracy_score(truth, called))
    assert evaluation.macro_f1 == pytest.approx(f1.mean())
    assert evaluation.macro_precision == pytest.approx(precision.mean())
    assert [score.category for score in evaluation.categories] == [CATEGORIES[i] for i in present]
    assert [score.precision for score in evaluation.categories] == pytest.approx(precision)
    assert [score.recall for score in evaluation.categories] == pytest.approx(recall)
    assert [score.support for score in evaluation.categories] == support.tolist()
    assert evaluation.weighted_f1 == pytest.approx(
        metrics.f1_score(truth, called, average="weighted", zero_division=0)
    )
    confusion = metrics.confusion_matrix(truth, called, labels=range(N_CATEGORIES))
    assert (np.array(evaluation.confusion) == confusion).all()


def test_a_present_category_that_is_never_predicted_counts_as_zero():
    evaluation = evaluate(np.array([0, 0, 1]), one_hot([0, 0, 0]))
    assert evaluation.macro_f1 == pytest.approx((0.8 + 0) / 2)


def test_a_category_without_true_samples_does_not_count_in_the_macro_averages():
    evaluation = evaluate(np.array([0, 0]), one_hot([0, 5]))
    assert evaluation.macro_precision == 1.0
    assert evaluation.macro_f1 == pytest.approx(2 / 3)
    assert len(evaluation.categories) == 1


def test_top_three_accuracy_counts_truths_among_the_three_most_probable():
    probabilities = np.zeros((2, N_CATEGORIES), dtype=np.float32)
    probabilities[0, [4, 3, 2, 1]] = 0.4, 0.3, 0.2, 0.1
    probabilities[1, [4, 3, 2, 1]] = 0.4, 0.3, 0.2, 0.1
    assert evaluate(np.array([2, 1]), probabilities).top3_accuracy == 0.5


def test_confidence_is_that_of_the_most_probable_category():
    probabilities = np.full((2, N_CATEGORIES), 0.02, dtype=np.float32)
    probabilities[:, 0] = 0.78
    evaluation = evaluate(np.array([0, 1]), probabilities)
    assert evaluation.calibration_error == pytest.approx(0.28)
    assert evaluation.coverage_at_95_precision == 0.0


def test_the_metrics_are_json():
    figures = evaluate(np.array([0, 1]), one_hot([0, 1])).as_dict()
    assert json.loads(json.dumps(figures))["confusion"][1][1] == 1


def test_an_empty_evaluation_is_refused():
    with pytest.raises(ValueError, match="no rows"):
        evaluate(np.array([], dtype=np.int64), one_hot(np.array([], dtype=np.int64)))
