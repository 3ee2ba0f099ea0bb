"""What is asked about a sound, and the starter's answers with what they rest on."""

import pytest

from classifier.bundle.load import load_starter
from classifier.categories import CATEGORIES
from classifier.headers.reader import AudioHeader
from classifier.names.pack_mates import pack_mates_of
from workers.serving.predictions import model_input, predict

UNKNOWN = AudioHeader(None, None, None, None, None, None)
VOCALS = ["take 01.wav", "take 02.wav", "Vox Chop 03.wav", "vocal adlib.wav", "vox 5.wav"]


@pytest.fixture(scope="module")
def starter():
    return load_starter()


def asked(path, mates=None, folder_words=True, is_midi=False):
    return model_input(path, UNKNOWN, mates, folder_words=folder_words, is_midi=is_midi)


def test_an_input_states_whether_it_has_folder_words():
    uninformative = asked("Drums/Kicks/01.wav")
    assert (uninformative.name, uninformative.has_folder_words) == ("Drums Kicks 01.wav", True)
    assert (uninformative.folder_words, uninformative.own_name) == ("Drums Kicks", "01.wav")
    telling = asked("Drums/Kicks/riser.wav")
    assert (telling.name, telling.has_folder_words) == ("riser.wav", False)
    assert telling.own_name == "riser.wav"
    unasked = asked("Drums/Kicks/01.wav", folder_words=False)
    assert (unasked.name, unasked.has_folder_words) == ("01.wav", False)


def test_names_that_are_not_utf_8_are_predicted_from_their_letters():
    assert asked("Fl\\xfbte/caf\\xe9 kick.wav").name == "caf\xe9 kick.wav"


def test_no_input_gives_no_predictions(starter):
    assert predict(starter, []) == []


@pytest.mark.parametrize(
    ("path", "mates", "category", "evidence"),
    [
        ("Kick Hard.wav", None, "drum", "name"),
        ("Kicks/01.wav", None, "drum", "folder"),
        ("take 01.wav", pack_mates_of(VOCALS), "vocal", "mates"),
    ],
)
def test_a_prediction_states_its_evidence(starter, path, mates, category, evidence):
    (said,) = predict(starter, [asked(path, mates)])
    assert (CATEGORIES[said.best], said.evidence) == (category, evidence)
    assert said.model_version == starter.version


@pytest.mark.parametrize("name", ["Kick Hard.mid", "Vocal Melody.mid", "01.mid", "Vox.wav"])
def test_a_midi_file_is_stems_n_midi_whatever_its_name(starter, name):
    midi, sound = predict(starter, [asked(name, is_midi=True), asked("Kick Hard.wav")])
    assert (CATEGORIES[midi.best], midi.probabilities[midi.best]) == ("stems-n-midi", 1.0)
    assert (midi.evidence, midi.needs_review) == ("format", False)
    assert midi.model_version == starter.version
    assert CATEGORIES[sound.best] == "drum"


def test_every_prediction_states_whether_it_needs_a_review(starter):
    questions = [asked(f"{name}.wav") for name in ("Kick Hard", "Vocal Adlib", "zzq", "x", "01")]
    said = predict(starter, questions)
    assert [one.needs_review for one in said] == [False, False, True, True, True]
    for one in said:
        assert one.needs_review == (one.probabilities[one.best] < starter.review_below)


def test_a_prediction_does_not_depend_on_other_inputs(starter):
    mates = pack_mates_of(VOCALS)
    questions = [*(asked(name, mates) for name in VOCALS), asked("Kicks/01.wav"), asked("x.wav")]
    together = predict(starter, questions)
    alone = [predict(starter, [one])[0] for one in reversed(questions)][::-1]
    for one, other in zip(together, alone, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)
        assert (one.evidence, one.needs_review) == (other.evidence, other.needs_review)
