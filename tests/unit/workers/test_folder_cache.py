"""The names of a folder as it is on disk: who is a mate, who is not, and what is remembered."""

import errno
import os
import subprocess
import sys

import pytest

from classifier.names.pack_mates import MOST_PACK_MATES, pack_mates_of
from tests.support.command_line import clean_environment, drop_override
from tests.support.descriptors import opened_root
from workers.library_roots import ABSOLUTE, LibraryRoot, OpenRoot
from workers.reading import folder_cache as folders_module
from workers.reading.folder_cache import FolderCache


@pytest.fixture
def root(folder):
    """The folder called sounds as a root; and nothing else open when the test is over."""
    with opened_root(folder) as fd:
        yield OpenRoot(LibraryRoot("sounds", os.fsencode(folder)), fd)


@pytest.fixture
def folders():
    return FolderCache(most=3)


@pytest.fixture
def mates(folders, root):
    """The mates of sounds below the root, as tuples of names in order, or None."""

    def mates(*paths, folder_words=False):
        found = folders.pack_mates(root, paths, folder_words=folder_words)
        return [None if one is None else tuple(sorted(one.names)) for one in found]

    return mates


@pytest.fixture
def listed(monkeypatch):
    """The folders that were listed, one after the other; all have been as they are for long."""
    listed = []
    list_one = folders_module._listed

    def listing(fd, key):
        listed.append(key[1])
        return list_one(fd, key)

    monkeypatch.setattr(folders_module, "_listed", listing)
    monkeypatch.setattr(folders_module, "_SETTLED_NS", -1)
    return listed


# Who is a mate


def test_the_mates_of_a_sound_are_all_sounds_of_its_folder(put, mates):
    put("sounds/a/kick.wav", "sounds/a/snare.aif", "sounds/a/b/hat.wav", "sounds/bass.wav")
    assert mates("a/kick.wav", "a/b/hat.wav", "bass.wav") == [
        ("kick.wav", "snare.aif"),
        ("hat.wav",),
        ("bass.wav",),
    ]


def test_other_files_and_macos_metadata_are_no_mates(put, mates):
    put("sounds/kick.wav", "sounds/._kick.wav", "sounds/notes.txt", "sounds/cover.jpg")
    put("sounds/wav", "sounds/.wav")
    assert mates("kick.wav") == [("kick.wav",)]


def test_a_folder_that_is_named_like_a_sound_is_no_mate(put, mates):
    put("sounds/kick.wav", "sounds/take.wav/1.wav")
    assert mates("kick.wav") == [("kick.wav",)]


def test_an_unreadable_sound_is_a_mate(put, folder, mates):
    put("sounds/kick.wav", "sounds/snare.wav", content=b"")
    (folder / "gone.wav").symlink_to("nowhere.wav")
    assert mates("kick.wav") == [("gone.wav", "kick.wav", "snare.wav")]


def test_a_folder_without_sounds_has_no_mates(put, mates):
    put("sounds/a/notes.txt")
    assert mates("a/notes.txt") == [None]


def test_the_mates_of_an_absolute_path_come_from_its_folder(put, tmp_path, folders):
    put("sounds/a/kick.wav", "sounds/a/snare.wav")
    with ABSOLUTE.opened() as root:
        path = f"{tmp_path.resolve()}/sounds/a/kick.wav"
        (found,) = folders.pack_mates(root, [path], folder_words=False)
    assert set(found.names) == {"kick.wav", "snare.wav"}


def test_a_large_folder_is_sampled_like_its_list_of_names(put, folder, folders, root):
    names = [f"{n}.wav" for n in range(1_000)]
    put(*(f"sounds/{name}" for name in names))
    (found,) = folders.pack_mates(root, ["7.wav"], folder_words=False)
    assert found == pack_mates_of(names)
    assert len(found.names) == MOST_PACK_MATES


def test_names_without_known_words_get_folder_words_like_the_sound(put, mates):
    put("sounds/Kicks/01.wav", "sounds/Kicks/02.wav", "sounds/Kicks/riser.wav")
    assert mates("Kicks/01.wav", folder_words=True) == [
        ("Kicks 01.wav", "Kicks 02.wav", "riser.wav")
    ]
    assert mates("Kicks/01.wav", folder_words=False) == [("01.wav", "02.wav", "riser.wav")]


# Folders that cannot be listed


@pytest.mark.parametrize(
    "path",
    ["gone/kick.wav", "kick.wav/kick.wav", "../kick.wav", "a\0b/kick.wav", "\ud800/kick.wav"],
    ids=ascii,
)
def test_a_file_in_place_of_a_folder_has_no_mates(put, mates, path):
    put("sounds/kick.wav", "secret.wav")
    assert mates(path) == [None]


@pytest.mark.parametrize("target", ["../other", "{above}/other", "..", "out"])
def test_a_link_that_leaves_the_root_or_dangles_has_no_mates(put, folder, tmp_path, mates, target):
    put("other/secret.wav")
    (folder / "out").symlink_to(target.format(above=tmp_path))
    assert mates("out/secret.wav") == [None]


def test_a_link_within_the_root_has_the_mates_of_its_target(put, folder, mates):
    put("sounds/a/kick.wav", "sounds/a/snare.wav")
    (folder / "twin").symlink_to("a")
    assert mates("twin/kick.wav") == [("kick.wav", "snare.wav")]


def test_no_link_in_an_absolute_path_is_followed(put, folder, tmp_path, folders):
    put("sounds/a/kick.wav")
    (folder / "twin").symlink_to("a")
    with ABSOLUTE.opened() as root:
        path = f"{tmp_path.resolve()}/sounds/twin/kick.wav"
        assert folders.pack_mates(root, [path], folder_words=False) == [None]


def test_a_folder_that_may_be_entered_but_not_listed_has_no_mates(put, folder, tmp_path):
    # Given a process that obeys permissions even when root runs the tests
    put("sounds/a/kick.wav")
    (folder / "a").chmod(0o111)
    code = (
        "import os\n"
        "from workers.library_roots import LibraryRoot\n"
        "from workers.reading.folder_cache import FolderCache\n"
        f"with LibraryRoot('sounds', os.fsencode({str(folder)!r})).opened() as root:\n"
        "    print(FolderCache().pack_mates(root, ['a/kick.wav'], folder_words=False))\n"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=clean_environment(tmp_path, {}),
            preexec_fn=drop_override(),
            capture_output=True,
            text=True,
        )
    finally:
        (folder / "a").chmod(0o755)
    assert (done.stdout.strip(), done.stderr) == ("[None]", "")


def fail_to_list(monkeypatch, fault, times):
    """Make the next listings of folders fail, so many times."""
    names, left = folders_module._names, iter(range(times))

    def failing(fd):
        if next(left, None) is not None:
            raise OSError(fault, "the storage fails")
        return names(fd)

    monkeypatch.setattr(folders_module, "_names", failing)


def test_a_system_error_is_raised_instead_of_guessing_without_mates(put, mates, monkeypatch):
    put("sounds/kick.wav")
    fail_to_list(monkeypatch, errno.EMFILE, 1)
    with pytest.raises(OSError, match="the storage fails"):
        mates("kick.wav")


@pytest.mark.parametrize("fault", [errno.EIO, errno.ESTALE, errno.ENOTSUP])
def test_listing_a_folder_is_retried_before_it_has_no_mates(put, mates, monkeypatch, caplog, fault):
    put("sounds/kick.wav")
    fail_to_list(monkeypatch, fault, 2)
    assert mates("kick.wav") == [("kick.wav",)]
    put("sounds/snare.wav")
    fail_to_list(monkeypatch, fault, 3)
    assert mates("kick.wav") == [None]
    assert "cannot be listed (the storage fails)" in caplog.text


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"caf\xe9.wav", "caf\xe9.wav"),
        (b"two\nlines.wav", "two\nlines.wav"),
        (b"\x1b[2J.wav", "\x1b[2J.wav"),
        ("\u202evaw.wav".encode(), "\u202evaw.wav"),
        (b"back\\xff.wav", "back\\xff.wav"),
        (b"n" * 251 + b".wav", "n" * 251 + ".wav"),
    ],
)
def test_names_of_any_bytes_are_mates_as_the_model_reads_them(folder, mates, raw, name):
    with open(os.path.join(os.fsencode(folder), raw), "wb"):
        pass
    assert mates("kick.wav") == [(name,)]


# What is remembered


def test_an_unchanged_folder_is_listed_once(put, mates, listed):
    put("sounds/a/kick.wav", "sounds/a/snare.wav", "sounds/b/hat.wav")
    first = mates("a/kick.wav", "b/hat.wav", "a/snare.wav")
    assert mates("a/snare.wav", "b/hat.wav", "a/kick.wav") == first
    assert listed == ["a", "b"]


def test_a_new_file_in_the_folder_appears_in_the_next_lookup(put, folder, mates, listed):
    put("sounds/a/kick.wav")
    assert mates("a/kick.wav") == [("kick.wav",)]
    put("sounds/a/snare.wav")
    os.utime(folder / "a", ns=(1, 1))  # as a program that unpacks sets it
    assert mates("a/kick.wav") == [("kick.wav", "snare.wav")]
    (folder / "a" / "kick.wav").unlink()
    assert mates("a/snare.wav") == [("snare.wav",)]


def test_a_folder_that_changed_a_moment_ago_is_not_cached(put, mates, listed, monkeypatch):
    monkeypatch.setattr(folders_module, "_SETTLED_NS", 10**15)
    put("sounds/a/kick.wav")
    assert mates("a/kick.wav") == mates("a/kick.wav") == [("kick.wav",)]
    assert listed == ["a", "a"]


@pytest.fixture
def large(monkeypatch):
    """Folders of more than two sounds are large, and listing them has taken long."""
    monkeypatch.setattr(folders_module, "LARGE_FOLDER", 2)
    monkeypatch.setattr(folders_module, "_LISTING_SHARE", 1e-9)


def test_a_large_folder_being_written_to_is_not_listed_each_time(put, mates, listed, large):
    put("sounds/a/1.wav", "sounds/a/2.wav", "sounds/a/3.wav", "sounds/b/1.wav")
    for number in range(4, 9):
        put(f"sounds/a/{number}.wav", f"sounds/b/{number}.wav")
        mates(f"a/{number}.wav", f"b/{number}.wav")
    # Then the small one was listed for each change until it was large itself
    assert (listed.count("a"), listed.count("b")) == (1, 2)


def test_cached_names_of_a_large_folder_expire(put, mates, listed, large, monkeypatch):
    monkeypatch.setattr(folders_module, "_OLDEST_SECONDS", 0.0)
    put("sounds/a/1.wav", "sounds/a/2.wav", "sounds/a/3.wav")
    mates("a/1.wav")
    put("sounds/a/4.wav")
    assert mates("a/1.wav") == [("1.wav", "2.wav", "3.wav", "4.wav")]


def test_another_large_folder_of_the_same_path_is_listed_at_once(put, folder, mates, large):
    put(*(f"sounds/{name}/{number}.wav" for name in "ab" for number in range(3)))
    put("sounds/b/new.wav")
    mates("a/1.wav")
    (folder / "a").rename(folder / "old")
    (folder / "b").rename(folder / "a")
    assert mates("a/1.wav") == [("0.wav", "1.wav", "2.wav", "new.wav")]


def test_another_folder_of_the_same_path_is_listed_again(put, folder, mates, listed):
    put("sounds/a/kick.wav", "sounds/b/snare.wav")
    mates("a/kick.wav")
    (folder / "a").rename(folder / "old")
    (folder / "b").rename(folder / "a")
    assert mates("a/snare.wav") == [("snare.wav",)]


def test_one_path_in_two_roots_is_two_folders(put, folder, folders, listed):
    put("sounds/a/kick.wav", "other/a/snare.wav")
    found = []
    for name in ("sounds", "other"):
        with LibraryRoot(name, os.fsencode(folder.parent / name)).opened() as root:
            found += folders.pack_mates(root, ["a/x.wav"], folder_words=False)
    assert [mates.names for mates in found] == [("kick.wav",), ("snare.wav",)]


def test_the_number_of_cached_folders_is_bounded(put, mates, folders, listed):
    names = [f"{n}/kick.wav" for n in range(20)]
    put(*(f"sounds/{name}" for name in names))
    assert mates(*names) == [("kick.wav",)] * 20
    assert len(folders._known) == 3
    # The one that was asked last stays longest
    mates("17/kick.wav", "5/kick.wav")
    assert {key[1] for key in folders._known} == {"19", "17", "5"}
