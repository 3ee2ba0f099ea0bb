"""Labels that may be wrong, found by what systems answer that have not learned them."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from classifier.categories import CATEGORIES, N_CATEGORIES
from classifier.headers.reader import AudioHeader
from training.data.dataset import LabelledSounds
from training.data.splits import random_split
from training.evaluation.experiment import Experiment, Split, System
from training.phase_progress import no_progress
from training.study.row_findings import suspected_labels

NOTHING = AudioHeader(None, None, None, None, None, None)


def results(sounds, *answers):
    """Results of systems that give each of the sounds this answer with this confidence."""

    class Fitted:
        def __init__(self, given):
            self.given = given

        def probabilities(self, tested):
            rows = np.full((len(tested), N_CATEGORIES), 0.0, np.float32)
            for row, name in zip(rows, tested.names, strict=True):
                category, confidence = self.given[name]
                row[:] = (1 - confidence) / (N_CATEGORIES - 1)
                row[CATEGORIES.index(category)] = confidence
            return rows

    systems = [
        System(f"system {number}", "", lambda *_, given=given: Fitted(given))
        for number, given in enumerate(answers)
    ]
    learned, _ = random_split(len(sounds), seed=0)
    everyone = Split(sounds.take(learned), np.arange(len(sounds)))
    return Experiment(sounds, [everyone], systems).run(no_progress, "")


def test_a_label_is_suspected_if_a_confident_prediction_and_the_name_contradict_it():
    names = ["kick.wav", "snare.wav", "vox.wav", "choir.wav", "odd 1.wav", "odd 2.wav"]
    labels = ["drum", "drum", "vocal", "vocal", "vocal", "vocal"]
    sounds = LabelledSounds.from_rows(names, [NOTHING] * 6, labels, ["a"] * 6)
    right = {name: (label, 0.8) for name, label in zip(names, labels, strict=True)}
    sure = {**right, "odd 1.wav": ("drum", 0.9), "odd 2.wav": ("drum", 0.85)}
    unsure = {**right, "odd 1.wav": ("drum", 0.7)}

    def suspected(ours, by_name):
        *systems, name_only = results(sounds, right, sure, ours, by_name)
        return suspected_labels(sounds, systems, name_only)

    [suspect] = suspected(sure, sure)
    assert (suspect.name, suspect.label, suspect.answer) == ("odd 1.wav", "vocal", "drum")
    assert (suspect.agreeing, suspect.alike, round(suspect.confidence, 2)) == (1, 2, 0.9)
    # And not if it is less confident than for drums, or the name alone is less certain
    assert suspected(unsure, sure) == suspected(sure, unsure) == suspected(sure, right) == ()
