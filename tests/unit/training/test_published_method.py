"""The published method's ways with a name, which are kept as they are."""

import pytest

pytest.importorskip("sklearn")

import numpy as np

from classifier.categories import CATEGORIES
from classifier.headers.reader import AudioHeader
from training.baselines.published_method import (
    InSampleStack,
    NameLstm,
    fit_naive_bayes,
    fit_tfidf_forest,
    name_words,
)
from training.data.dataset import LabelledSounds

#: As in the studies' tests: compiled once for all of them.
BATCH_SIZE = 8

NOTHING = AudioHeader(None, None, None, None, None, None)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("AB_Kick_01.wav", ["AB", "Kick"]),  # a last part of digits alone goes
        ("AB_Kick_01a.wav", ["AB", "Kick", "01a"]),
        ("01.wav", []),
        ("AB_Bass_v1.2_Fmin.wav", ["AB", "Bass", "v1"]),  # cut at the first dot
        ("Bass Loop-120.wav", ["Bass", "Loop", "120"]),
        ("noextension", ["noextension"]),
    ],
)
def test_names_are_cut_as_published(name, words):
    assert name_words(name) == words


@pytest.fixture(scope="module")
def sounds():
    words = {"drum": "kick", "synth": "pad", "vocal": "vox"}
    names = [f"XY_{word}_{i}.wav" for word in words.values() for i in range(24)]
    header = AudioHeader(1000, 1.0, 44_100, 1, 44_100, "PCM_16")
    categories = [category for category in words for _ in range(24)]
    headers = [header if i % 3 else NOTHING for i in range(len(names))]
    return LabelledSounds.from_rows(names, headers, categories, ["one"] * len(names))


@pytest.mark.tensorflow
def test_each_system_learns_what_a_word_means(sounds):
    lstm = NameLstm(sounds, seed=0, batch_size=BATCH_SIZE)
    for system in (
        fit_naive_bayes(sounds),
        fit_tfidf_forest(sounds, seed=0),
        lstm,
        InSampleStack(sounds, lstm, seed=0),
    ):
        probabilities = system.probabilities(sounds)
        assert probabilities.shape == (len(sounds), len(CATEGORIES))
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
        assert (probabilities.argmax(axis=1) == sounds.category_indices).mean() > 0.9


@pytest.mark.tensorflow
def test_long_names_lose_their_first_tokens_and_short_ones_are_padded_at_the_end(sounds):
    lstm = NameLstm(sounds, seed=0, batch_size=BATCH_SIZE)
    kick, pad = lstm._encode(["kick", "pad"])[:, 0]
    long = lstm._encode(["kick_pad_pad_pad_pad_pad_pad.wav", "pad.wav"])
    assert long[0].tolist() == [pad] * 6
    assert long[1].tolist() == [pad, 0, 0, 0, 0, 0]
    assert kick != pad


@pytest.mark.tensorflow
def test_the_same_seed_gives_the_same_lstm(sounds):
    first, second = (
        NameLstm(sounds, seed=3, batch_size=BATCH_SIZE).probabilities(sounds) for _ in range(2)
    )
    assert (first == second).all()
