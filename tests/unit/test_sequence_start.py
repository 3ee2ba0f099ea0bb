"""Fits that start from what another fit learned."""

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from classifier.sequence import SequenceModel
from classifier.vocabulary import Vocabulary

IDS = Vocabulary(["kick", "pad"]).encode([["kick"], ["pad"]])
CATEGORIES = np.array([2, 9])


def test_every_fit_starts_from_the_weights_it_was_given():
    teacher = SequenceModel(seed=1)
    teacher.fit(IDS, CATEGORIES, np.ones(2), seed=0, epochs=20)
    pupil = SequenceModel(seed=2)
    pupil.start_from(teacher.state())
    for _ in range(2):
        pupil.fit(IDS, CATEGORIES, np.ones(2), seed=0, epochs=0)
        np.testing.assert_array_equal(pupil.probabilities(IDS), teacher.probabilities(IDS))
        pupil.fit(IDS, CATEGORIES[::-1], np.ones(2), seed=0, epochs=1)
