"""Changes to the library, and the outcomes that it then expects."""

import os

import pytest

from tests.chaos.library import Library


@pytest.fixture
def library(tmp_path):
    """Some folders of good sounds."""
    library = Library(tmp_path / "library")
    for _ in range(6):
        library.add_small()
    return library


def on_disk(library):
    return {
        os.path.relpath(os.path.join(folder, name), library.root)
        for folder, _, names in os.walk(library.root)
        for name in names
        if name.endswith("a.wav") or " kick" in name
    }


def expected_paths(library):
    return {path for path in library.expected if " kick" in path}


@pytest.mark.parametrize("pick", [0.0, 0.4, 0.9])
@pytest.mark.parametrize(
    "act",
    [
        Library.rename_sounds,
        Library.move_sounds,
        Library.delete_sounds,
        Library.rename_folder,
        Library.delete_folder,
        Library.regroup,
    ],
)
def test_it_expects_the_files_that_are_there_and_no_path_twice(library, act, pick):
    before = set(library.expected)
    act(library, pick)
    assert expected_paths(library) == on_disk(library)
    assert library.left >= before - set(library.expected)
    assert not library.left & set(library.expected)
    paths = [path for sound in library.sounds for path in sound.paths]
    assert len(paths) == len(set(paths))
    assert set(library.expected) != before


def test_a_file_that_ends_its_reader_does_so_under_any_name(tmp_path):
    library = Library(tmp_path / "library")
    library.add()
    [poison] = [each for each in library.sounds if "timed_out" in each.outcomes]
    name = os.path.basename(poison.path)
    assert name.startswith("abort")
    first = sorted(library.folders[0].sounds).index(os.fsencode(name))
    library.rename_sounds((first + 0.5) / (len(library.folders[0].sounds) - 6))
    assert poison.was_renamed
    assert os.path.basename(poison.path).startswith("abort")


def test_no_two_files_have_one_time(library):
    times = [entry.stat().st_mtime_ns for entry in library.root.rglob("*.wav")]
    assert len(set(times)) == len(times)


def test_a_library_that_is_away_is_an_empty_folder_and_comes_back_with_what_was_added(library):
    bring_back = library.take_away()
    library.add_small()
    assert list(library.root.iterdir()) == []
    bring_back()
    assert expected_paths(library) == on_disk(library)


def test_a_label_is_looked_for_where_the_file_is(library):
    sound = library.folders[0].sounds[b"0000 kick.wav"]
    first = sound.path
    library.move_sounds(0.0)
    assert sound.keeps_label_at == [sound.path] != [first]
    # When it was renamed, an ingest that broke off may not have moved the label
    library.rename_sounds(0.999)
    renamed = next(sound for sound in library.sounds if sound.was_renamed)
    assert len(renamed.keeps_label_at) == 2
