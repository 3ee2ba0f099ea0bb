"""Copies of labelled sounds: which follow, and which do not."""

import pytest
from sqlalchemy import select

from db.results import labels, sounds, training_rows
from db.results.copies import label_copies
from db.results.labels import NewLabel
from db.results.sounds import sound_key
from db.states import LabelSource
from db.tables import sounds as sounds_table
from tests.support.sound_results import predicted


@pytest.fixture
def give(take):
    """Give paths their labels, then their copies theirs: ``give({"kick 1.wav": "drum"})``."""

    def give(by_path, same_content=lambda *_: (), source=LabelSource.HUMAN):
        given = [
            NewLabel(sound_key("library", path), category, source)
            for path, category in by_path.items()
        ]
        take(labels.write_labels, given, labelled_by="ada")
        keys = [label.key for label in given]
        return take(label_copies, keys, same_content, labelled_by="ada").copies

    return give


@pytest.fixture
def labelled(database, take):
    """Label and source of each labelled sound of the saved ones, by path."""

    def read():
        table = sounds_table.c
        query = select(table.path, table.label, table.label_source)
        with database.begin() as connection:
            rows = connection.execute(query.where(table.label.is_not(None))).all()
        return {path: (label, source) for path, label, source in rows}

    return read


@pytest.fixture
def save(take):
    return lambda *paths: take(sounds.save, [predicted(path) for path in paths])


def test_numbered_variants_in_a_folder_get_the_label(save, give, labelled):
    save("a%_/kick 1.wav", "a%_/Kick 2.wav", "a%_/kick copy.wav", "a%_/snare 1.wav")
    save("aB_/kick 3.wav", "a%_/b/kick 4.wav", "A%_/kick 5.wav", "kick 6.wav")
    assert give({"a%_/kick 1.wav": "drum"}) == 2
    assert labelled() == {
        "a%_/kick 1.wav": ("drum", "human"),
        "a%_/Kick 2.wav": ("drum", "copy"),
        "a%_/kick copy.wav": ("drum", "copy"),
    }


def test_conflicting_labels_of_numbered_variants_are_not_copied(save, give, labelled):
    save("kick 1.wav", "kick 2.wav", "kick 3.wav")
    give({"kick 2.wav": "bass", "kick 1.wav": "drum"})
    assert labelled() == {"kick 1.wav": ("drum", "human"), "kick 2.wav": ("bass", "human")}


def test_the_own_label_of_a_copy_takes_precedence(save, give, labelled):
    save("kick 1.wav", "kick 2.wav", "kick 3.wav")
    give({"kick 1.wav": "drum"})
    give({"kick 2.wav": "drum"}, source=LabelSource.IMPORT)
    assert give({"kick 1.wav": "drum"}) == 0
    assert labelled()["kick 2.wav"] == ("drum", "import")


def test_a_copy_follows_a_label_that_is_changed(save, give, labelled):
    save("kick 1.wav", "kick 2.wav")
    give({"kick 1.wav": "drum"})
    assert give({"kick 1.wav": "bass"}) == 1
    assert labelled()["kick 2.wav"] == ("bass", "copy")


def test_only_files_of_equal_size_are_compared(save, give, labelled, take):
    save("one.wav", "a/other.wav")
    take(sounds.save, [predicted("b/larger.wav", file_size_bytes=77)])
    asked = []

    def all_same(original, others):
        asked.append((original.path, [other.path for other in others]))
        return others

    assert give({"one.wav": "drum"}, all_same) == 1
    assert asked == [("one.wav", ["a/other.wav"])]
    assert labelled()["a/other.wav"] == ("drum", "copy")


def test_copied_labels_are_not_trained_on_and_not_exported(save, give, take, database):
    save("kick 1.wav", "kick 2.wav")
    give({"kick 1.wav": "drum"})
    rows = take(training_rows.labelled_after, 0, 10)
    assert [row.path for row in rows] == ["kick 1.wav"]
    assert take(training_rows.labels_since, 0) == 1
    with database.begin() as connection:
        assert [label.path for label in labels.current(connection)] == ["kick 1.wav"]
