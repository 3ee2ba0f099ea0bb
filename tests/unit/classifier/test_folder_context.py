"""Folders speak where a name is silent, and nowhere else."""

import pytest

from classifier.bundle.load import load_starter
from classifier.categories import CATEGORIES
from classifier.headers.reader import AudioHeader
from classifier.names.folder_context import folder_words, prefixed_name
from workers.serving.predictions import model_input, predict

UNKNOWN = AudioHeader(None, None, None, None, None, None)


@pytest.mark.parametrize(
    ("path", "spoken"),
    [
        ("Drums/Kicks/01.wav", "Drums Kicks 01.wav"),
        ("Vocals/take_004.wav", "Vocals take_004.wav"),
        ("Drum Kits/Kicks/01.wav", "Drum Kicks 01.wav"),
        ("Drum Loops/Stuff/01.wav", "Drum Loops 01.wav"),
        ("FX/Kicks/Other/01.wav", "Kicks 01.wav"),
        ("128 BPM/01.wav", "01.wav"),
        ("120 Am/01.wav", "01.wav"),
        ("Kicks 909/C#/01.wav", "Kicks 01.wav"),
        ("Acme/Volume 2/01.wav", "01.wav"),
        ("01.wav", "01.wav"),
    ],
)
def test_a_name_without_known_words_gets_those_of_its_last_two_folders(path, spoken):
    *folders, name = path.split("/")
    assert prefixed_name(folder_words(folders), name) == spoken


@pytest.mark.parametrize(
    "name", ["riser_01.wav", "Vox.wav", "drumloop.wav", "sfx 3.wav", "melodic 120.wav", "beats.wav"]
)
def test_a_name_with_a_known_word_is_unchanged(name):
    assert prefixed_name(folder_words(["Drums", "Kicks"]), name) == name


@pytest.mark.parametrize("name", ["01.wav", "take 7.wav", "hit.wav", "Am 120.wav", "x.wav", ""])
def test_a_name_without_known_words_gets_its_folder_words(name):
    assert prefixed_name(folder_words(["Kicks"]), name) == f"Kicks {name}"


@pytest.mark.parametrize(
    "folder", ["", "..", "\udcff", "\x00" * 50, "٣٤", "9" * 5_000, "Kicks\n" * 99]
)
def test_folders_of_any_characters_give_words_or_nothing(folder):
    assert prefixed_name(folder_words([folder, folder]), "01.wav").endswith("01.wav")


# Through the starter


@pytest.fixture(scope="module")
def asked():
    """What the starter says of a path without mates: category and evidence."""
    starter = load_starter()

    def asked(path, *, folder_words=True):
        (prediction,) = predict(
            starter, [model_input(path, UNKNOWN, None, folder_words=folder_words)]
        )
        return CATEGORIES[prediction.best], prediction.evidence

    return asked


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Drums/Kicks/01.wav", ("drum", "folder")),
        ("Vocals/take_004.wav", ("vocal", "folder")),
        ("Bass/01.wav", ("bass", "folder")),
        ("Kicks/riser_01.wav", ("effects", "name")),
    ],
)
def test_the_starter_uses_folder_words_for_a_name_without_known_words(asked, path, expected):
    assert asked(path) == expected


def test_a_folder_named_after_a_tempo_changes_nothing(asked):
    assert asked("128 BPM/01.wav") == asked("01.wav")


def test_with_folder_words_off_folders_change_nothing(asked):
    assert asked("Drums/Kicks/01.wav", folder_words=False) == asked("01.wav")
