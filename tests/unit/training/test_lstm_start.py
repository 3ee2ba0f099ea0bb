"""Fits that start from what another fit learned."""

import numpy as np
import pytest

from classifier.categories import N_CATEGORIES
from classifier.model.vocabulary import UNKNOWN_ID, Vocabulary

pytestmark = pytest.mark.tensorflow

IDS = Vocabulary(["kick", "pad"]).encode([["kick"], ["pad"]])
ONE_HOT = np.eye(N_CATEGORIES, dtype=np.float32)
TARGETS = ONE_HOT[[2, 9]]


def test_every_fit_starts_from_the_given_weights():
    from classifier.model.name_lstm import SequenceModel

    teacher = SequenceModel(seed=1)
    teacher.fit(IDS, TARGETS, np.ones(2), seed=0, epochs=20)
    pupil = SequenceModel(seed=2)
    pupil.start_from(teacher.state())
    for _ in range(2):
        pupil.fit(IDS, TARGETS, np.ones(2), seed=0, epochs=0)
        np.testing.assert_array_equal(pupil.probabilities(IDS), teacher.probabilities(IDS))
        pupil.fit(IDS, TARGETS[::-1], np.ones(2), seed=0, epochs=1)


def test_equal_tokens_with_different_targets_are_learned_as_the_mean_of_them():
    from classifier.model.name_lstm import SequenceModel

    # Given the same name three times as one category and once as another
    ids = np.repeat(IDS[:1], 4, axis=0)
    model = SequenceModel(seed=1)
    # When it is learned
    model.fit(ids, ONE_HOT[[2, 2, 2, 9]], np.ones(4), seed=0, epochs=100)
    # Then the model is as sure as the rows are
    np.testing.assert_allclose(model.probabilities(ids[:1])[0, [2, 9]], [0.75, 0.25], atol=0.02)


def test_a_dropped_word_becomes_an_unknown_word():
    from classifier.model.name_lstm import SequenceModel

    vocabulary = Vocabulary(["kick", "pad"])
    ids = vocabulary.encode([["kick"], ["pad"]])
    model = SequenceModel(seed=1)
    model.fit(ids, TARGETS, np.ones(2), seed=0, epochs=20)
    before = model.probabilities(ids)
    model.forget_words(1)
    after = model.probabilities(ids)
    np.testing.assert_array_equal(after[0], before[0])
    assert not np.array_equal(after[1], before[1])
    unknown = ids[1:].copy()
    unknown[0, 0, 0] = UNKNOWN_ID
    # Alone and beside another it is not added up in the same order on every processor.
    np.testing.assert_allclose(model.probabilities(unknown)[0], after[1], rtol=1e-5)


def test_a_model_fitted_with_dropout_predicts_without_it():
    from classifier.model.name_lstm import SequenceModel

    model = SequenceModel(seed=1, regularised=True)
    model.fit(IDS, TARGETS, np.ones(2), seed=0, epochs=3)
    np.testing.assert_array_equal(model.probabilities(IDS), model.probabilities(IDS))
