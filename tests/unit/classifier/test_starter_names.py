"""The starter knows how sounds are commonly named, whoever made them."""

import pytest

from classifier.bundle.load import load_starter
from classifier.categories import CATEGORIES
from classifier.headers.reader import AudioHeader


@pytest.fixture(scope="module")
def starter():
    return load_starter()


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("kick.wav", "drum"),
        ("hh (5).wav", "drum"),
        ("SD0025.WAV", "drum"),
        ("tom lo.wav", "drum"),
        ("NV_128_bass_loop_Fmin.wav", "bass-loop"),
        ("ANNA_BELL_synth_loop_deep_90_Dbmin.wav", "synth-loop"),
        ("XX_142_kit_name_bass_Dmin.wav", "kits-n-templates"),
        ("Riser 7 (32 Beats).wav", "effects"),
        ("vox.wav", "vocal"),
        ("pad.wav", "synth"),
    ],
)
def test_a_common_name_alone_is_enough(starter, name, category):
    nothing = AudioHeader(None, None, None, None, None, None)
    probabilities = starter.predict([name], [nothing])[0]
    assert CATEGORIES[probabilities.argmax()] == category
