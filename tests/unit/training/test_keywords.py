"""The list of keywords: what each kind of rule says, and what is refused."""

import numpy as np
import pytest

pytest.importorskip("pandas")

from classifier.categories import CATEGORIES
from classifier.headers.reader import AudioHeader
from training.baselines.keywords import load_keywords, parse_keywords
from training.data.dataset import LabelledSounds
from training.errors import NamingError

RULES = """
rules = [
  { category = "kits-n-templates", words = "song", tempo = true },
  { category = "bass", loop = "bass-loop", words = "sub", parts = "bass" },
  { category = "instruments", notes = true },
  { category = "drum", loop = "drum-loop" },
]
"""


@pytest.fixture(scope="module")
def shipped():
    return load_keywords()


def sounds(*names):
    unknown = AudioHeader(None, None, None, None, None, None)
    return LabelledSounds.from_rows(
        names, [unknown] * len(names), ["drum"] * len(names), ["one"] * len(names)
    )


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("XY_SubDrop1.wav", "bass"),  # a word, whatever its case and borders
        ("subtle.wav", "drum"),  # which is no part of another word
        ("contrabassy.wav", "bass"),  # a part, which may be
        ("XY_120_bass.wav", "bass-loop"),  # a tempo makes a loop of it
        ("Bass 120bpm.wav", "bass-loop"),
        ("Bpm124_bass.wav", "bass-loop"),
        ("bass_loop.wav", "bass-loop"),  # so does the word
        ("bass_5120.wav", "bass"),  # a longer number is no tempo
        ("bass_059.wav", "bass"),
        ("tune_C4.wav", "instruments"),  # a note
        ("tune_Xc44.wav", "drum"),
        ("song_120.wav", "kits-n-templates"),  # a word that needs a tempo
        ("song.wav", "drum"),
        ("thing_120.wav", "drum-loop"),  # the last rule holds for any name
        ("", "drum"),
    ],
)
def test_the_first_matching_rule_counts(name, category):
    assert parse_keywords(RULES).ranking(name)[0] == category


def test_later_matching_rules_rank_next_and_all_categories_are_ranked():
    # Given a name for which three rules hold
    ranking = parse_keywords(RULES).ranking("bass_C4.wav")
    # Then they answer in the order of the list
    assert ranking[:3] == ["bass", "instruments", "drum"]
    assert sorted(ranking) == sorted(CATEGORIES)


def test_the_first_matching_rule_is_the_most_probable_with_equal_confidence_for_all_names():
    found = parse_keywords(RULES).probabilities(sounds("bass.wav", "C4.wav", "x_120.wav"))
    answers = [CATEGORIES[index] for index in found.argmax(axis=1)]
    assert answers == ["bass", "instruments", "drum-loop"]
    assert len(np.unique(found.max(axis=1))) == 1
    assert found.sum(axis=1) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("XY_kick_standard.wav", "drum"),
        ("XY_125_drum_loop_full.wav", "drum-loop"),
        ("XY_bass_one_shot_C.wav", "bass"),
        ("XY_120_synth_loop_deep_Dbmin.wav", "synth-loop"),
        ("oboe_B3_1_normal.wav", "instruments"),
        ("XY_140_guitar_loop_Em.wav", "instrumental-loops"),
        ("XY_KIT4_lead_140.wav", "kits-n-templates"),
        ("Riser 7 (32 Beats).wav", "effects"),
        ("vox_chop_3.wav", "vocal"),
    ],
)
def test_the_shipped_list_classifies_usual_names(shipped, name, category):
    assert shipped.ranking(name)[0] == category


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ("rules = [", "is not valid TOML"),
        ("rule = []", "rules: Field required"),
        ("rules = []", "rules: .* at least 1 item"),
        ("rules = [1]", "rules.0: .*; got 1"),
        (
            'rules = [{ category = "drums" }]',
            "rules.0.category: unknown category; .*; got 'drums'",
        ),
        (
            'rules = [{ category = "drum", loop = "x" }]',
            "rules.0.loop: unknown category; .*; got 'x'",
        ),
        ('rules = [{ category = "drum", word = "kick" }]', "rules.0.word: .* not permitted"),
        ('rules = [{ category = "drum", tempo = "yes" }]', "rules.0.tempo: .*; got 'yes'"),
        ('rules = [{ category = "drum", words = 1 }]', "rules.0.words: .*; got 1"),
        ('rules = [{ category = "drum", words = "kick" }]', "the last rule must match"),
    ],
)
def test_an_invalid_list_is_refused_with_the_place(page, complaint):
    with pytest.raises(NamingError, match=complaint):
        parse_keywords(page)
