"""Finding sounds: what a walk yields, and what it passes over."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from classifier.paths import path_text
from tests import sounds

WAV = sounds.encoded()


@pytest.fixture
def names_below(walk, tmp_path):
    """The paths below the test's folder that a walk of it yields, in its order."""

    def names_below():
        found, _ = walk(tmp_path)
        return [sound.path.removeprefix(f"{path_text(os.fspath(tmp_path))}/") for sound in found]

    return names_below


# What is a sound


def test_sounds_of_all_folders_are_found_in_name_order(plant, names_below):
    plant("b/2.wav", "a/deep/er/x.flac", "a/1.ogg", "b/1.wav", "top.AIF")
    assert names_below() == ["top.AIF", "a/1.ogg", "a/deep/er/x.flac", "b/1.wav", "b/2.wav"]


@pytest.mark.parametrize("name", ["kick.wav", "KICK.WAV", "kick.Flac", "a.b.mp3", ".hidden.wav"])
def test_a_file_with_the_extension_of_a_sound_is_one_whatever_it_holds(names_below, plant, name):
    (plant() / name).write_bytes(b"not a sound at all")
    assert names_below() == [name]


@pytest.mark.parametrize("name", ["notes.txt", "wav", ".wav", "kick.wav.asd", "kick.wav~", "a.m4a"])
def test_other_files_are_not(plant, walk, name):
    (plant() / name).write_bytes(b"not a sound at all")
    found, ignored = walk(plant())
    assert (found, ignored.counts) == ([], {"not audio": 1})


def test_a_file_without_an_extension_is_a_sound_when_it_starts_like_one(plant, names_below):
    folder = plant("kick", "12345", ".hidden")
    (folder / "README").write_bytes(b"hello")
    (folder / "empty").touch()
    assert names_below() == [".hidden", "12345", "kick"]


def test_what_macos_leaves_behind_is_passed_over_and_counted(plant, walk):
    folder = plant("kick.wav", "._kick.wav", "__MACOSX/kick.wav", "__MACOSX/._kick.wav")
    found, ignored = walk(folder)
    assert len(found) == 1
    assert ignored.counts == {"macOS leftovers": 2}


def test_a_folder_named_like_a_sound_has_a_row_and_is_walked(plant, names_below):
    plant("kick.wav/inside.wav")
    assert names_below() == ["kick.wav", "kick.wav/inside.wav"]


def test_a_pipe_named_like_a_sound_has_a_row_and_others_are_passed_over(plant, names_below):
    folder = plant()
    os.mkfifo(folder / "pipe.wav")
    os.mkfifo(folder / "pipe")
    assert names_below() == ["pipe.wav"]


def test_a_name_that_is_not_utf8_is_found(plant, names_below):
    with open(os.fsencode(plant()) + b"/caf\xe9.wav", "wb") as file:
        file.write(WAV)
    assert names_below() == [r"caf\xe9.wav"]


def test_size_and_time_are_those_of_the_file(plant, walk):
    folder = plant("kick.wav")
    [sound], _ = walk(folder)
    status = (folder / "kick.wav").stat()
    assert (sound.file_size_bytes, sound.mtime_ns) == (status.st_size, status.st_mtime_ns)


# Links


def test_a_link_to_what_the_walk_meets_anyway_is_passed_over(plant, walk):
    folder = plant("pack/kick.wav")
    (folder / "twin.wav").symlink_to("pack/kick.wav")
    (folder / "packs").symlink_to("pack")
    found, ignored = walk(folder)
    assert [sound.path for sound in found] == [f"{folder}/pack/kick.wav"]
    assert ignored.counts == {"links": 2}


@pytest.mark.parametrize("target", ["gone.wav", "link.wav", "/dev/zero"])
def test_a_link_that_leads_nowhere_good_has_a_row_that_will_say_so(plant, names_below, target):
    (plant() / "link.wav").symlink_to(target)
    assert names_below() == ["link.wav"]


def test_a_folder_linked_from_elsewhere_is_not_walked(plant, walk):
    folder = plant("elsewhere/secret.wav", "sounds/kick.wav")
    (folder / "sounds" / "more").symlink_to(folder / "elsewhere")
    found, ignored = walk(folder / "sounds")
    assert [sound.path for sound in found] == [f"{folder}/sounds/kick.wav"]
    assert ignored.counts == {"links": 1}


def test_links_in_a_circle_end(plant, walk):
    folder = plant("pack/kick.wav")
    (folder / "pack" / "again").symlink_to("..")
    assert len(walk(folder)[0]) == 1


def test_a_link_that_was_asked_for_is_followed(plant, walk):
    folder = plant("pack/kick.wav")
    (folder / "link").symlink_to("pack")
    [sound], _ = walk(folder / "link")
    assert sound.path == f"{folder}/pack/kick.wav"


# What was asked for


def test_a_file_that_was_asked_for_is_taken_whatever_its_name(plant, walk):
    folder = plant("kick.txt", "other.wav")
    [sound], _ = walk(folder / "kick.txt")
    assert sound.path == f"{folder}/kick.txt"


def test_a_path_below_another_one_is_not_walked_twice(plant, walk):
    folder = plant("pack/kick.wav", "pack/deep/snare.wav", "pack 2/hat.wav")
    found, _ = walk(folder / "pack/deep", folder, folder / "pack/kick.wav", folder / "pack 2")
    assert len(found) == len({sound.path for sound in found}) == 3


def test_two_folders_of_which_one_is_named_like_the_others_beginning_are_both_walked(plant, walk):
    folder = plant("pack/kick.wav", "pack 2/hat.wav")
    assert len(walk(folder / "pack", folder / "pack 2")[0]) == 2


def test_a_missing_file_has_a_row_that_will_say_so(plant, walk):
    [sound], _ = walk(plant() / "gone.wav")
    assert sound.file_size_bytes is None


@contextmanager
def unprivileged():
    """Be somebody whom mode bits hold back, which root is not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_may_not_be_read_is_named_and_the_walk_goes_on(walk):
    # Not below pytest's own folder, which nobody else may enter.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for path in ("a/locked/kick.wav", "b/snare.wav"):
            (folder / path).parent.mkdir(parents=True)
            (folder / path).write_bytes(WAV)
        (folder / "a" / "locked").chmod(0)
        with unprivileged():
            found, ignored = walk(folder)
        (folder / "a" / "locked").chmod(0o755)
    assert [os.path.basename(sound.path) for sound in found] == ["snare.wav"]
    assert ignored.counts == {"unreadable folders": 1}
    assert ignored.folders == [f"{folder}/a/locked: Permission denied"]
