"""Mates in service: the same answer however batches fall."""

import numpy as np
import pytest

from classifier.bundle.load import load_starter
from classifier.headers.reader import AudioHeader
from classifier.names.pack_mates import pack_mates_of

NOTHING = AudioHeader(None, None, None, None, None, None)
FOLDERS = [
    ["take 01.wav", "take 02.wav", "Vox Chop 03.wav", "vocal adlib.wav", "vox 5.wav"],
    [f"{n:03}.wav" for n in range(200)],
    ["Snare 1.wav"],
]
NAMES = [name for folder in FOLDERS for name in folder]
MATES = [mates for folder in FOLDERS for mates in [pack_mates_of(folder)] * len(folder)]


@pytest.fixture(scope="module")
def starter():
    return load_starter()


def asked(classifier, rows):
    names, mates = [NAMES[row] for row in rows], [MATES[row] for row in rows]
    return classifier.predict(names, [NOTHING] * len(rows), mates)


def test_a_prediction_does_not_depend_on_batch_and_order(starter):
    # Given sounds of three folders, classified together
    together = asked(starter, range(len(NAMES)))
    # When they are classified one by one, last first, by a classifier that has read no folder yet
    fresh = load_starter()
    alone = np.concatenate([asked(fresh, [row]) for row in reversed(range(len(NAMES)))])[::-1]
    # Then no answer differs
    np.testing.assert_allclose(alone, together, atol=1e-6)


def test_a_name_without_evidence_gets_the_category_of_its_mates(starter):
    silent, mates = ["take 01.wav"], [pack_mates_of(FOLDERS[0])]
    alone = starter.predict_detailed(silent, np.full((1, 6), np.nan, np.float32))
    beside = starter.predict_detailed(silent, np.full((1, 6), np.nan, np.float32), mates)
    vocal = 11
    assert beside.by_pack_mates[0, vocal] > alone.by_pack_mates[0, vocal]
    assert beside.probabilities[0].argmax() == vocal
    np.testing.assert_array_equal(alone.by_name, alone.by_pack_mates)


def test_predictions_do_not_depend_on_the_folder_cache_size(starter):
    names = [f"kick {n}.wav" for n in range(1_500)]
    mates = [pack_mates_of([name]) for name in names]
    found = starter.predict(names, [NOTHING] * len(names), mates)
    again = starter.predict(names[::-1], [NOTHING] * len(names), mates[::-1])[::-1]
    np.testing.assert_allclose(found, again, atol=1e-6)


def test_a_different_number_of_mates_and_sounds_is_refused(starter):
    with pytest.raises(ValueError, match="expected equal numbers"):
        starter.predict(["kick.wav"], [NOTHING], [])
