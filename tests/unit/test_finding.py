"""What a walk yields and passes over, and which root, path, pack and vendor a file gets."""

import os
import socket
from pathlib import Path

import pytest
from pydantic import SecretStr

from tasks.finding import FoundSound, Ignored, Locator, OutsideRootsError, find
from tests import sounds
from workers.settings import Settings

BROKER = SecretStr("redis://host")


@pytest.fixture
def folder(tmp_path):
    """An empty folder to walk."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    return folder


@pytest.fixture
def put(tmp_path):
    """Write small files below the test's folder; their contents do not matter."""

    def put(*names, content=b"x"):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    return put


@pytest.fixture
def ignored():
    return Ignored()


@pytest.fixture
def found(ignored):
    """Find sounds at and below paths under these settings."""

    def found(*paths, **settings) -> list[FoundSound]:
        return list(find(map(os.fspath, paths), Locator(Settings(**settings)), ignored))

    return found


def paths(found):
    return [sound.path for sound in found]


# What a walk yields


def test_sounds_come_in_name_order_those_of_a_folder_before_those_below_it(put, found, tmp_path):
    put("sounds/b.wav", "sounds/a/2.wav", "sounds/a/1.wav", "sounds/c.wav", "sounds/a/d/0.wav")
    names = ["b.wav", "c.wav", "a/1.wav", "a/2.wav", "a/d/0.wav"]
    assert paths(found("sounds")) == [f"{tmp_path}/sounds/{name}" for name in names]


def test_an_extension_counts_in_any_case(put, found):
    put("sounds/KICK.WAV", "sounds/Snare.Mp3", "sounds/hat.aIFf")
    assert len(found("sounds")) == 3


def test_size_and_time_of_a_file_come_along(put, found, folder):
    put("sounds/a.wav", content=b"12345")
    os.utime(folder / "a.wav", ns=(0, 1_234_567_891))
    [sound] = found("sounds")
    assert (sound.file_size_bytes, sound.mtime_ns) == (5, 1_234_567_891)


def test_what_is_not_audio_is_passed_over_and_counted(put, found, ignored):
    put("sounds/cover.jpg", "sounds/notes.txt", "sounds/wav", "sounds/.wav", "sounds/a.wav.zip")
    assert found("sounds") == []
    assert ignored.counts == {"not audio": 5}


def test_a_file_without_extension_is_taken_when_it_starts_like_audio(put, found, ignored):
    put("sounds/kick", "sounds/.hidden", content=sounds.encoded("FLAC"))
    put("sounds/README", "sounds/empty", content=b"")
    assert [os.path.basename(path) for path in paths(found("sounds"))] == [".hidden", "kick"]
    assert ignored.counts == {"not audio": 2}


def test_macos_leftovers_are_passed_over_and_counted(put, found, ignored):
    put("sounds/._kick.wav", "sounds/a/__MACOSX/snare.wav", "sounds/a/__MACOSX/b/hat.wav")
    assert found("sounds") == []
    assert ignored.counts == {"macOS leftovers": 2}
    assert ignored.total == 2


def test_a_folder_named_like_a_sound_is_yielded_and_walked_too(put, found, tmp_path):
    put("sounds/x.wav/inner.wav")
    assert paths(found("sounds")) == [
        f"{tmp_path}/sounds/x.wav",
        f"{tmp_path}/sounds/x.wav/inner.wav",
    ]


def test_pipes_and_sockets_are_yielded_only_when_named_like_sounds(folder, found, ignored):
    os.mkfifo(folder / "pipe.wav")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("sounds/socket")
        assert paths(found("sounds")) == [f"{folder}/pipe.wav"]
    assert ignored.counts == {"not audio": 2}


def test_a_folder_that_cannot_be_listed_is_counted_and_named_on_one_safe_line(
    folder, put, found, ignored
):
    # Given folders nested deeper than any path may be long: even root cannot list the innermost
    put("sounds/clear\x1b[2J\n/a.wav")
    fd = os.open(folder / "clear\x1b[2J\n", os.O_RDONLY)
    for _ in range(20):
        os.mkdir("n" * 250, dir_fd=fd)
        below = os.open("n" * 250, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    # When they are walked
    names = paths(found("sounds"))
    # Then the rest is found, and the one is said
    assert names == [f"{folder}/clear\x1b[2J\n/a.wav"]
    assert ignored.counts == {"unreadable folders": 1}
    [said] = ignored.folders
    assert said.endswith("n: File name too long")
    assert said.isprintable()


# Links


def test_a_link_to_a_file_of_the_same_walk_is_passed_over(put, found, ignored, folder):
    put("sounds/a/kick.wav")
    (folder / "again.wav").symlink_to("a/kick.wav")
    assert paths(found("sounds")) == [f"{folder}/a/kick.wav"]
    assert ignored.counts == {"links": 1}


@pytest.mark.parametrize("target", ["../other/kick.wav", "nowhere.wav", "link.wav", "../other"])
def test_any_other_link_named_like_a_sound_gets_a_row_that_will_say_why(put, found, folder, target):
    put("other/kick.wav")
    (folder / "link.wav").symlink_to(target)
    assert paths(found("sounds")) == [f"{folder}/link.wav"]


@pytest.mark.parametrize("target", ["../other", "a"])
def test_a_link_to_a_folder_is_not_walked(put, found, ignored, folder, target):
    put("other/kick.wav", "sounds/a/snare.wav")
    (folder / "link").symlink_to(target)
    assert paths(found("sounds")) == [f"{folder}/a/snare.wav"]
    assert ignored.counts == {"links": 1}


def test_a_folder_that_holds_itself_by_a_link_is_walked_once(put, found, folder):
    put("sounds/a/kick.wav")
    (folder / "a" / "up").symlink_to("..")
    assert paths(found("sounds")) == [f"{folder}/a/kick.wav"]


def test_a_link_named_on_the_command_line_is_followed(put, found, tmp_path):
    put("other/kick.wav", "other/hat.wav")
    (tmp_path / "file").symlink_to("other/kick.wav")
    (tmp_path / "folder").symlink_to("other")
    assert paths(found("file")) == [f"{tmp_path}/other/kick.wav"]
    assert paths(found("folder")) == [f"{tmp_path}/other/hat.wav", f"{tmp_path}/other/kick.wav"]


# Paths that are named


def test_a_file_that_is_named_is_taken_whatever_its_name(put, found, tmp_path):
    put("notes.txt", "._kick.wav")
    assert paths(found("notes.txt", "._kick.wav")) == [
        f"{tmp_path}/._kick.wav",
        f"{tmp_path}/notes.txt",
    ]


def test_a_named_file_that_is_missing_is_taken_without_size_and_time(found, tmp_path):
    [sound] = found("gone.wav")
    assert (sound.path, sound.file_size_bytes, sound.mtime_ns) == (
        f"{tmp_path}/gone.wav",
        None,
        None,
    )


@pytest.mark.parametrize(
    "named",
    [
        ["sounds", "sounds"],
        ["sounds", "./sounds/"],
        ["sounds/a", "sounds"],
        ["sounds", "sounds/a/kick.wav"],
        ["sounds", "sounds/a/../../sounds"],
        ["sounds", "link to sounds"],
    ],
    ids=", ".join,
)
def test_a_path_named_twice_or_below_another_is_walked_once(put, found, tmp_path, named):
    put("sounds/a/kick.wav")
    (tmp_path / "link to sounds").symlink_to("sounds")
    assert paths(found(*named)) == [f"{tmp_path}/sounds/a/kick.wav"]


def test_a_folder_whose_name_starts_like_anothers_is_not_below_it(put, found):
    put("sounds/a.wav", "sounds 2/b.wav")
    assert len(found("sounds", "sounds 2")) == 2


def test_a_path_may_be_bytes_that_are_not_utf8(put, ignored, tmp_path):
    put(os.fsdecode(b"caf\xe9/\xff.wav"))
    [sound] = find([b"caf\xe9"], Locator(Settings()), ignored)
    assert sound.path == f"{tmp_path}/caf\\xe9/\\xff.wav"
    assert sound.pack == "caf\\xe9"


# Root, path, pack and vendor


def places(found):
    return [(sound.root, sound.path, sound.pack, sound.vendor) for sound in found]


def test_without_roots_a_path_is_absolute_and_the_pack_is_below_the_walked_folder(
    put, found, tmp_path
):
    put("sounds/top.wav", "sounds/pack/drums/kick.wav")
    assert places(found("sounds")) == [
        ("", f"{tmp_path}/sounds/top.wav", "sounds", "sounds"),
        ("", f"{tmp_path}/sounds/pack/drums/kick.wav", "pack", "pack"),
    ]


def test_without_roots_a_named_files_pack_is_its_folder(put, found, tmp_path):
    put("sounds/pack/drums/kick.wav")
    path = f"{tmp_path}/sounds/pack/drums/kick.wav"
    assert places(found(path)) == [("", path, "drums", "drums")]


@pytest.mark.parametrize("named", [".", "sounds", "sounds/pack/drums", "sounds/pack/drums/a.wav"])
def test_with_roots_path_and_pack_do_not_depend_on_what_was_named(put, found, tmp_path, named):
    put("sounds/pack/drums/a.wav")
    roots = {"main": tmp_path / "sounds", "all": tmp_path}
    assert places(found(named, library_roots=roots)) == [
        ("main", "pack/drums/a.wav", "pack", "pack")
    ]


def test_with_roots_a_file_right_below_one_has_the_roots_folder_for_a_pack(put, found, tmp_path):
    put("sounds/a.wav")
    roots = {"main": tmp_path / "sounds"}
    assert places(found("sounds", library_roots=roots)) == [("main", "a.wav", "sounds", "sounds")]


def test_a_root_may_be_given_by_a_link(put, found, tmp_path):
    put("sounds/pack/a.wav")
    (tmp_path / "mount").symlink_to("sounds")
    roots = {"main": tmp_path / "mount"}
    assert paths(found("sounds", library_roots=roots)) == ["pack/a.wav"]


@pytest.mark.parametrize(
    ("level", "vendors"), [(1, ["acme", "acme"]), (2, ["acme", "pack"]), (9, ["acme", "drums"])]
)
@pytest.mark.parametrize("rooted", [False, True])
def test_the_vendor_is_the_folder_at_its_level_or_the_last_there_is(
    put, found, tmp_path, level, vendors, rooted
):
    put("sounds/acme/hat.wav", "sounds/acme/pack/drums/kick.wav")
    roots = {"main": tmp_path / "sounds"} if rooted else {}
    sounds_found = found("sounds", vendor_level=level, library_roots=roots)
    assert [sound.vendor for sound in sounds_found] == vendors
    assert {sound.pack for sound in sounds_found} == {"acme"}


# Outside every root


def suggested_roots(error):
    """The roots of the line that a refusal ends with, as the settings read them."""
    _, _, value = str(error).rpartition("CRATESORT_LIBRARY_ROOTS=")
    return Settings(library_roots=value).library_roots


@pytest.mark.parametrize("named", ["other", "other/kick.wav"])
@pytest.mark.parametrize("root_names", [[], ["main"], ["library"], ["library", "library2"]])
def test_a_path_outside_every_root_is_refused_with_a_line_that_would_allow_it(
    put, found, tmp_path, named, root_names
):
    put("other/kick.wav")
    roots = {name: Path("/mnt") / name for name in root_names}
    with pytest.raises(OutsideRootsError) as refused:
        found(named, broker_url=BROKER, library_roots=roots)
    allowed = suggested_roots(refused.value)
    assert allowed.items() >= roots.items()
    assert paths(found(named, broker_url=BROKER, library_roots=allowed)) == ["kick.wav"]


def test_a_root_allows_no_folder_whose_name_starts_like_its_own(put, found, tmp_path):
    put("sounds 2/kick.wav")
    with pytest.raises(OutsideRootsError):
        found("sounds 2", library_roots={"main": tmp_path / "sounds"})


def test_a_link_that_leads_out_of_the_root_is_refused_when_named(put, found, folder, tmp_path):
    put("other/kick.wav")
    (folder / "link.wav").symlink_to("../other/kick.wav")
    with pytest.raises(OutsideRootsError):
        found("sounds/link.wav", library_roots={"main": folder})


def test_a_refusal_is_one_safe_line(found):
    with pytest.raises(OutsideRootsError) as refused:
        found("/nowhere/clear\x1b[2J\n.wav", broker_url=BROKER)
    assert str(refused.value).isprintable()


def test_a_named_file_is_taken_even_below_a_named_folder(put, found, tmp_path):
    put("sounds/notes.txt", "sounds/kick.wav")
    taken = paths(found("sounds", "sounds/notes.txt"))
    assert sorted(taken) == [f"{tmp_path}/sounds/{name}" for name in ("kick.wav", "notes.txt")]


def test_a_link_to_a_file_not_named_like_a_sound_is_found_under_its_own_name(
    put, found, folder, tmp_path
):
    put("sounds/a1b2.bin")
    (folder / "kick.wav").symlink_to(folder / "a1b2.bin")
    assert paths(found("sounds")) == [f"{tmp_path}/sounds/kick.wav"]
