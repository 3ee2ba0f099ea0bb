"""Which root, path, pack and vendor a found sound has."""

import pytest

from tasks.finding import OutsideRootsError
from workers.settings import ABSOLUTE_ROOT


def test_without_roots_a_sounds_path_is_its_absolute_one(plant, walk, monkeypatch):
    folder = plant("pack/kick.wav")
    monkeypatch.chdir(folder)
    [sound], _ = walk("pack")
    assert (sound.root, sound.path) == (ABSOLUTE_ROOT, f"{folder}/pack/kick.wav")


@pytest.mark.parametrize(
    ("asked", "pack"),
    [
        (".", "vendor"),
        ("vendor", "drums"),
        ("vendor/drums", "drums"),
        ("vendor/drums/kick.wav", "drums"),
    ],
)
def test_without_roots_the_pack_is_the_first_folder_below_what_was_asked_for(
    plant, walk, asked, pack
):
    folder = plant("vendor/drums/kick.wav")
    [sound], _ = walk(folder / asked)
    assert (sound.pack, sound.vendor) == (pack, pack)


def test_within_a_root_a_sounds_path_is_relative_to_it(plant, walk):
    folder = plant("library/drums/deep/kick.wav")
    [sound], _ = walk(folder / "library/drums", library_roots={"main": folder / "library"})
    assert (sound.root, sound.path, sound.pack) == ("main", "drums/deep/kick.wav", "drums")


def test_a_sound_right_in_a_root_has_the_roots_folder_for_its_pack(plant, walk):
    folder = plant("library/kick.wav")
    [sound], _ = walk(folder / "library", library_roots={"main": folder / "library"})
    assert (sound.path, sound.pack) == ("kick.wav", "library")


def test_a_root_reached_by_a_link_is_the_same_root(plant, walk):
    folder = plant("library/drums/kick.wav")
    (folder / "mount").symlink_to("library")
    [sound], _ = walk(folder / "mount", library_roots={"main": folder / "mount"})
    assert (sound.root, sound.path) == ("main", "drums/kick.wav")


@pytest.mark.parametrize("asked", [".", "outer", "outer/inner"])
def test_of_roots_within_roots_the_deepest_holds_a_sound_whatever_was_asked_for(plant, walk, asked):
    folder = plant("outer/inner/drums/kick.wav")
    roots = {"all": folder, "outer": folder / "outer", "inner": folder / "outer" / "inner"}
    [sound], _ = walk(folder / asked, library_roots=roots)
    assert (sound.root, sound.path) == ("inner", "drums/kick.wav")


@pytest.mark.parametrize(
    ("level", "vendor"), [(1, "a"), (2, "b"), (3, "c"), (9, "c")], ids=lambda value: f"{value}"
)
def test_the_vendor_is_the_folder_at_the_configured_level(plant, walk, level, vendor):
    folder = plant("library/a/b/c/kick.wav")
    [sound], _ = walk(
        folder / "library", library_roots={"main": folder / "library"}, vendor_level=level
    )
    assert (sound.pack, sound.vendor) == ("a", vendor)


def test_a_path_outside_every_root_is_refused_with_the_line_that_would_allow_it(plant, walk):
    folder = plant("library/kick.wav", "elsewhere/snare.wav")
    with pytest.raises(OutsideRootsError) as refused:
        walk(folder / "elsewhere" / "snare.wav", library_roots={"main": folder / "library"})
    assert f"CRATESORT_LIBRARY_ROOTS=main={folder}/library,library={folder}/elsewhere" in str(
        refused.value
    )


def test_with_a_broker_every_path_needs_a_root(plant, walk):
    folder = plant("kick.wav")
    with pytest.raises(OutsideRootsError, match=f"CRATESORT_LIBRARY_ROOTS=library={folder}"):
        walk(folder, broker_url="redis://localhost")
