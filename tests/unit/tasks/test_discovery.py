"""What a walk yields and what it passes over."""

import errno
import os
import socket

import pytest

from tasks.producer import discovery
from tasks.producer.discovery import find
from tasks.producer.locator import Locator
from tests.support import sounds
from workers.settings import Settings


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


def test_a_file_is_yielded_with_its_size_and_time(put, found, folder):
    put("sounds/a.wav", content=b"12345")
    os.utime(folder / "a.wav", ns=(0, 1_234_567_891))
    [sound] = found("sounds")
    assert (sound.file_size_bytes, sound.mtime_ns) == (5, 1_234_567_891)


def test_files_that_are_not_audio_are_skipped_and_counted_by_extension(put, found, ignored):
    put("sounds/a.jpg", "sounds/B.JPG", "sounds/a.wav.zip", "sounds/wav", "sounds/.wav")
    put("sounds/.a.txt", "sounds/a.sentence like this", "sounds/a.\x1b[2J")
    assert found("sounds") == []
    assert ignored.counts == {".jpg": 2, ".zip": 1, "other files": 5}
    assert ignored.unsupported_format == 0


def test_unsupported_audio_is_skipped_and_counted_separately(put, found, ignored):
    put("sounds/a.m4a", "sounds/b.WMA", "sounds/c.rx2", "sounds/d.zip")
    assert found("sounds") == []
    assert ignored.unsupported_format == 3


def test_rare_extensions_beyond_a_limit_are_counted_together(put, found, ignored):
    put(*(f"sounds/a.x{number}" for number in range(250)))
    assert found("sounds") == []
    assert len(ignored.counts) == 201
    assert ignored.total == 250


def test_a_file_without_extension_is_taken_when_it_starts_like_audio(put, found, ignored):
    put("sounds/kick", "sounds/.hidden", content=sounds.encoded("FLAC"))
    put("sounds/README", "sounds/empty", content=b"")
    assert [os.path.basename(path) for path in paths(found("sounds"))] == [".hidden", "kick"]
    assert ignored.counts == {"other files": 2}


def test_macos_metadata_files_are_skipped_and_counted(put, found, ignored):
    put("sounds/._kick.wav", "sounds/a/__MACOSX/snare.wav", "sounds/a/__MACOSX/b/hat.wav")
    assert found("sounds") == []
    assert ignored.counts == {"macOS leftovers": 2}
    assert ignored.total == 2


def test_a_folder_named_like_a_sound_is_walked_as_a_folder(put, found, tmp_path):
    put("sounds/x.wav/inner.wav")
    assert paths(found("sounds")) == [f"{tmp_path}/sounds/x.wav/inner.wav"]


def test_pipes_and_sockets_are_yielded_only_when_named_like_sounds(folder, found, ignored):
    os.mkfifo(folder / "pipe.wav")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("sounds/socket")
        assert paths(found("sounds")) == [f"{folder}/pipe.wav"]
    assert ignored.counts == {"other files": 2}


def test_an_unreadable_folder_is_counted_and_reported_in_one_escaped_line(
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


# System folders, and patterns

_OTHERS_FOLDERS = {
    "@eaDir": "@eaDir/",
    "#recycle": "#recycle/",
    "$RECYCLE.BIN": "$RECYCLE.BIN/",
    "node_modules": "node_modules/",
    "System Volume Information": "System Volume Information/",
    ".AppleDouble": "hidden folders",
    ".Trash-1000": "hidden folders",
    ".snapshot": "hidden folders",
    ".git": "hidden folders",
    ".stversions": "hidden folders",
}


@pytest.mark.parametrize("name", _OTHERS_FOLDERS)
def test_system_and_waste_folders_are_skipped_and_counted_by_kind(
    put, found, ignored, folder, name
):
    put(f"sounds/a/{name}/kick.wav/INFO", f"sounds/a/{name}/hat.wav", "sounds/a/kick.wav")
    assert paths(found("sounds")) == [f"{folder}/a/kick.wav"]
    assert ignored.counts == {_OTHERS_FOLDERS[name]: 1}


def test_a_hidden_folder_named_by_the_user_is_walked(put, found, tmp_path):
    put(".library/@eaDir/kick.wav")
    assert paths(found(".library/@eaDir")) == [f"{tmp_path}/.library/@eaDir/kick.wav"]


_PATTERNS = {
    "old": ["Kick.wav", "new/hat.wav", "new/old.wav"],
    "*.WAV": [],
    "o?d": ["Kick.wav", "new/hat.wav", "new/old.wav"],
    "new/h*": ["Kick.wav", "new/old.wav", "old/hat.wav", "old/new/hat.wav"],
    "/new": ["Kick.wav", "old/hat.wav", "old/new/hat.wav"],
    "old*": ["Kick.wav", "new/hat.wav"],
    "old*/": ["Kick.wav", "new/hat.wav", "new/old.wav"],
    "[k]ick*": ["new/hat.wav", "new/old.wav", "old/hat.wav", "old/new/hat.wav"],
}


@pytest.mark.parametrize("source", ["option", "ignore file"])
@pytest.mark.parametrize("pattern", _PATTERNS)
def test_files_that_match_an_exclude_pattern_are_skipped(put, ignored, folder, pattern, source):
    names = {name for left in _PATTERNS.values() for name in left} | {"old/hat.wav"}
    put(*(f"sounds/{name}" for name in sorted(names)))
    patterns = [pattern]
    if source == "ignore file":
        put("sounds/.cratesortignore", content=f"# ours\n\n{pattern}\n".encode())
        patterns = []
    left = paths(find(["sounds"], Locator(Settings()), ignored, patterns))
    assert sorted(left) == sorted(f"{folder}/{name}" for name in _PATTERNS[pattern])
    assert set(ignored.counts) == {"excluded"}


def test_an_ignore_file_applies_to_its_folder_and_below(put, found, folder):
    put("sounds/hat.wav", "sounds/a/hat.wav", "sounds/a/b/hat.wav", "sounds/c/hat.wav")
    put("sounds/a/.cratesortignore", content=b"hat*")
    assert paths(found("sounds")) == [f"{folder}/hat.wav", f"{folder}/c/hat.wav"]


def test_an_ignore_file_above_the_walked_folder_applies(put, found, folder):
    put("sounds/a/b/hat.wav", "sounds/a/b/kick.wav")
    put("sounds/.cratesortignore", content=b"\xef\xbb\xbfhat*\r\n")
    assert paths(found("sounds/a/b")) == [f"{folder}/a/b/kick.wav"]


@pytest.mark.parametrize("fault", ["too large", "a pipe", "a pattern with !"])
def test_a_folder_with_an_unreadable_ignore_file_is_skipped_and_reported(
    put, found, ignored, folder, fault
):
    put("sounds/a/hat.wav", "sounds/kick.wav")
    if fault == "a pipe":
        os.mkfifo(folder / "a" / ".cratesortignore")
    elif fault == "a pattern with !":
        put("sounds/a/.cratesortignore", content=b"*\n!kick.wav")
    else:
        put("sounds/a/.cratesortignore", content=b"x" * 65_537)
    assert paths(found("sounds")) == [f"{folder}/kick.wav"]
    [said] = ignored.folders
    assert said.startswith(f"{folder}/a: .cratesortignore ")


# Links


def test_a_link_to_a_file_of_the_same_walk_is_skipped(put, found, ignored, folder):
    put("sounds/a/kick.wav")
    (folder / "again.wav").symlink_to("a/kick.wav")
    assert paths(found("sounds")) == [f"{folder}/a/kick.wav"]
    assert ignored.counts == {"links": 1}


@pytest.mark.parametrize("target", ["../other/kick.wav", "nowhere.wav", "link.wav"])
def test_any_other_link_named_like_a_sound_gets_a_row_with_an_error(put, found, folder, target):
    put("other/kick.wav")
    (folder / "link.wav").symlink_to(target)
    assert paths(found("sounds")) == [f"{folder}/link.wav"]


@pytest.mark.parametrize("target", ["../other", "a"])
@pytest.mark.parametrize("name", ["link", "link.wav"])
def test_a_link_to_a_folder_is_not_walked(put, found, ignored, folder, name, target):
    put("other/kick.wav", "sounds/a/snare.wav")
    (folder / name).symlink_to(target)
    assert paths(found("sounds")) == [f"{folder}/a/snare.wav"]
    assert ignored.counts == {"links": 1}


def test_a_folder_with_a_link_to_itself_is_walked_once(put, found, folder):
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


def test_a_file_named_by_the_user_is_taken_whatever_its_extension(put, found, tmp_path):
    put("notes.txt", "._kick.wav")
    assert paths(found("notes.txt", "._kick.wav")) == [
        f"{tmp_path}/._kick.wav",
        f"{tmp_path}/notes.txt",
    ]


def test_a_missing_file_named_by_the_user_is_yielded_without_size_and_time(found, tmp_path):
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
def test_a_path_given_twice_or_below_another_is_walked_once(put, found, tmp_path, named):
    put("sounds/a/kick.wav")
    (tmp_path / "link to sounds").symlink_to("sounds")
    assert paths(found(*named)) == [f"{tmp_path}/sounds/a/kick.wav"]


def test_a_folder_with_a_common_name_prefix_is_not_below_the_other(put, found):
    put("sounds/a.wav", "sounds 2/b.wav")
    assert len(found("sounds", "sounds 2")) == 2


def test_a_path_may_be_bytes_that_are_not_utf8(put, ignored, tmp_path):
    put(os.fsdecode(b"caf\xe9/\xff.wav"))
    [sound] = find([b"caf\xe9"], Locator(Settings()), ignored)
    assert sound.path == f"{tmp_path}/caf\\xe9/\\xff.wav"
    assert sound.pack == "caf\\xe9"


def test_a_file_named_by_the_user_is_taken_even_below_a_named_folder(put, found, tmp_path):
    put("sounds/notes.txt", "sounds/kick.wav")
    taken = paths(found("sounds", "sounds/notes.txt"))
    assert sorted(taken) == [f"{tmp_path}/sounds/{name}" for name in ("kick.wav", "notes.txt")]


def test_a_link_to_a_file_not_named_like_a_sound_is_found_under_its_own_name(
    put, found, folder, tmp_path
):
    put("sounds/a1b2.bin")
    (folder / "kick.wav").symlink_to(folder / "a1b2.bin")
    assert paths(found("sounds")) == [f"{tmp_path}/sounds/kick.wav"]


class UnknownEntry:
    """An entry of a file system that does not tell what it is, and fails when it is asked."""

    def __init__(self, entry):
        self.name, self.path = entry.name, entry.path

    def is_dir(self, **_):
        raise OSError(errno.EIO, "Input/output error")

    is_symlink = is_file = is_dir


def test_a_storage_error_of_one_entry_does_not_affect_the_others(put, found, monkeypatch):
    put("sounds/a.wav", "sounds/b.wav", "sounds/c.txt")
    scandir = os.scandir

    class Listing:
        def __init__(self, folder):
            self._listing = scandir(folder)

        def __enter__(self):
            return [UnknownEntry(e) if e.name != b"a.wav" else e for e in self._listing]

        def __exit__(self, *_):
            self._listing.close()

    monkeypatch.setattr(discovery.os, "scandir", Listing)
    sizes = {os.path.basename(sound.path): sound.file_size_bytes for sound in found("sounds")}
    assert sizes.keys() == {"a.wav", "b.wav"}
    assert sizes["b.wav"] is None
