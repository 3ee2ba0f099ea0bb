"""Which root, path, pack and vendor a found file gets, and what no root allows."""

import errno
import os
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import SecretStr

from classifier.files.paths import LONGEST_NAME
from tasks.producer.locator import Locator, OutsideRootsError, real_path
from workers.settings import Settings

BROKER = SecretStr("redis://host")


def paths(found):
    return [sound.path for sound in found]


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
def test_with_roots_path_and_pack_do_not_depend_on_the_argument(put, found, tmp_path, named):
    put("sounds/pack/drums/a.wav")
    roots = {"main": tmp_path / "sounds", "all": tmp_path}
    assert places(found(named, library_roots=roots)) == [
        ("main", "pack/drums/a.wav", "pack", "pack")
    ]


def test_the_pack_of_a_file_directly_in_a_root_is_the_roots_folder(put, found, tmp_path):
    put("sounds/a.wav")
    roots = {"main": tmp_path / "sounds"}
    assert places(found("sounds", library_roots=roots)) == [("main", "a.wav", "sounds", "sounds")]


@pytest.mark.parametrize("roots", [{}, {"main": "."}], ids=["no roots", "roots"])
def test_a_dangling_link_keeps_its_own_path(put, found, tmp_path, roots):
    put("sounds/a.wav")
    (tmp_path / "sounds/link.wav").symlink_to("../../nowhere/b.wav")
    library_roots = {name: tmp_path / folder for name, folder in roots.items()}
    walked = found("sounds", library_roots=library_roots)
    named = found("sounds/link.wav", library_roots=library_roots)
    assert named == [sound for sound in walked if sound.path.endswith("link.wav")]
    assert named[0].is_there


def test_a_root_may_be_given_by_a_link(put, found, tmp_path):
    put("sounds/pack/a.wav")
    (tmp_path / "mount").symlink_to("sounds")
    roots = {"main": tmp_path / "mount"}
    assert paths(found("sounds", library_roots=roots)) == ["pack/a.wav"]


@pytest.mark.parametrize(
    ("level", "vendors"), [(1, ["acme", "acme"]), (2, ["acme", "pack"]), (9, ["acme", "drums"])]
)
@pytest.mark.parametrize("rooted", [False, True])
def test_the_vendor_is_the_folder_at_the_vendor_level_or_the_deepest_one(
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
def test_a_path_outside_every_root_is_refused_with_the_setting_that_would_allow_it(
    put, found, tmp_path, named, root_names
):
    put("other/kick.wav")
    roots = {name: Path("/mnt") / name for name in root_names}
    with pytest.raises(OutsideRootsError) as refused:
        found(named, broker_url=BROKER, library_roots=roots)
    allowed = suggested_roots(refused.value)
    assert allowed.items() >= roots.items()
    assert paths(found(named, broker_url=BROKER, library_roots=allowed)) == ["kick.wav"]


def test_a_folder_whose_name_starts_like_a_root_is_outside_the_root(put, found, tmp_path):
    put("sounds 2/kick.wav")
    with pytest.raises(OutsideRootsError):
        found("sounds 2", library_roots={"main": tmp_path / "sounds"})


def test_a_link_given_by_the_user_that_leaves_the_root_is_refused(put, found, folder, tmp_path):
    put("other/kick.wav")
    (folder / "link.wav").symlink_to("../other/kick.wav")
    with pytest.raises(OutsideRootsError):
        found("sounds/link.wav", library_roots={"main": folder})


def test_a_refusal_is_one_escaped_line(found):
    with pytest.raises(OutsideRootsError) as refused:
        found("/nowhere/clear\x1b[2J\n.wav", broker_url=BROKER)
    assert str(refused.value).isprintable()


# What the file system says of one path


@pytest.fixture
def links(tmp_path):
    """Links that can be followed, and some that cannot."""
    folder = tmp_path / "links"
    (folder / "real" / "deep").mkdir(parents=True)
    (folder / "real" / "file").write_bytes(b"x")
    for name, target in {
        "to-folder": "real",
        "absolute": folder / "real",
        "up": "real/deep/..",
        "to-link": "to-folder/deep",
        "to-nothing": "nowhere/x",
        "loop": "loop",
    }.items():
        (folder / name).symlink_to(target)
    (folder / "chain0").symlink_to("real")
    for before, after in pairwise(range(1500)):
        (folder / f"chain{after}").symlink_to(f"chain{before}")
    return folder


@pytest.mark.parametrize(
    "path",
    [
        "/",
        ".",
        "..",
        "to-folder/deep",
        "absolute/deep",
        "up/file",
        "to-link/../file",
        "to-nothing",
        "real/file/x",
        "nowhere/../real",
        "chain9/deep",
        "/proc/self/cwd/real",
    ],
)
def test_a_path_is_resolved_as_the_operating_system_resolves_it(links, monkeypatch, path):
    monkeypatch.chdir(links)
    assert real_path(os.fsencode(path)) == os.path.realpath(os.fsencode(path))


UNREADABLE = ["loop/x", "chain1499/x", "real/file/x", "to-folder/" + 300 * "n", 2000 * "n/"]


@pytest.mark.parametrize("path", UNREADABLE, ids=lambda path: path[:20])
def test_no_file_system_error_of_a_path_is_raised(links, found, path):
    locator = Locator(Settings(broker_url=BROKER, library_roots={"main": links}))
    resolved = locator.resolve(os.fsencode(links / path))
    sound = locator.sound(locator.library_root(resolved), resolved)
    assert (sound.root, sound.file_size_bytes) == ("main", None)
    # Named on the command line, too
    assert [one.file_size_bytes for one in found(str(links / path))] == [None]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ESTALE, errno.EINVAL])
def test_an_unreadable_link_stays_in_the_path(links, monkeypatch, code):
    """As /proc/1/cwd of another user, and a link whose place a folder has just taken."""
    readlink = os.readlink

    def fail(path):
        if path.endswith(b"to-folder"):
            raise OSError(code, os.strerror(code))
        return readlink(path)

    monkeypatch.setattr(os, "readlink", fail)
    path = os.fsencode(links / "to-folder/deep")
    assert real_path(path) == os.fsencode(links.resolve() / "to-folder/deep")


def test_pack_and_vendor_are_cut_to_the_length_of_a_name(tmp_path):
    locator = Locator(Settings(broker_url=BROKER, library_roots={"main": tmp_path}))
    resolved = os.fsencode(tmp_path) + b"/" + 3000 * b"\xe9" + b"/a.wav"
    sound = locator.sound(locator.library_root(resolved), resolved)
    assert len(sound.pack) == len(sound.vendor) == LONGEST_NAME
    assert len(sound.path) > 3000
