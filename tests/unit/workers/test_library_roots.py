"""Library roots: found by name, and the paths of what lies below them."""

import os

import pytest
from pydantic import SecretStr

from workers.errors import LibraryRootAwayError
from workers.library_roots import ABSOLUTE, ABSOLUTE_ROOT, LibraryRoot, mount_fault
from workers.settings import ConfigurationError, Settings

PACKS = {"packs": "/mnt/packs"}


def test_the_folder_of_a_root_is_found_by_name():
    assert LibraryRoot.named("packs", Settings(library_roots=PACKS)).folder == b"/mnt/packs"


def test_a_root_not_configured_on_this_host_is_refused_with_the_setting_to_add():
    with pytest.raises(
        ConfigurationError, match=r"'main'.*add main=/path/to/folder to CRATESORT_LIBRARY_ROOTS"
    ):
        LibraryRoot.named("main", Settings(library_roots=PACKS))


def test_paths_without_a_root_are_absolute_on_one_machine():
    assert LibraryRoot.named(ABSOLUTE_ROOT, Settings()) == ABSOLUTE


@pytest.mark.parametrize(
    "settings",
    [{"broker_url": SecretStr("redis://host")}, {"library_roots": PACKS}],
    ids=["a broker", "roots"],
)
def test_paths_without_a_root_are_refused_in_a_fleet(settings):
    with pytest.raises(ConfigurationError, match="without a library root"):
        LibraryRoot.named(ABSOLUTE_ROOT, Settings(**settings))


@pytest.mark.parametrize(
    ("folder", "resolved", "path"),
    [
        (b"/mnt/packs", b"/mnt/packs/a/kick.wav", "a/kick.wav"),
        (b"", b"/a/kick.wav", "a/kick.wav"),
        (b"/mnt/packs", b"/mnt/packs", ""),
        (b"/mnt/packs", b"/mnt/packs2/kick.wav", None),
        (b"/mnt/packs", b"/mnt", None),
    ],
)
def test_which_paths_are_in_a_root_and_their_stored_form(folder, resolved, path):
    root = LibraryRoot("packs", folder)
    assert root.holds(resolved) is (path is not None)
    assert path is None or root.path_of(resolved) == path


def test_without_a_root_the_stored_path_is_absolute():
    assert ABSOLUTE.path_of(b"/mnt/kick.wav") == "/mnt/kick.wav"


def test_a_file_and_a_folder_are_opened_by_their_stored_path(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "kick.wav").write_bytes(b"kick")
    for root, above in (LibraryRoot("packs", bytes(tmp_path)), ""), (ABSOLUTE, f"{tmp_path}/"):
        with root.opened() as opened:
            fd, status = opened.open_file(f"{above}a/kick.wav")
            os.close(fd)
            assert status.st_size == 4
            fd, _ = opened.open_folder(f"{above}a")
            assert os.listdir(fd) == ["kick.wav"]
            os.close(fd)


def test_an_unmounted_root_is_unavailable(tmp_path):
    away = LibraryRoot("packs", bytes(tmp_path / "not mounted"))
    with pytest.raises(LibraryRootAwayError, match=r"'packs'.*not mounted"), away.opened():
        pass


@pytest.mark.parametrize(
    ("there", "known", "fault"),
    [
        ([], [], "is empty"),
        ([], ["Pack A"], "is empty"),
        (
            ["lost+found"],
            ["Pack A"],
            "contains none of the files and folders known there, such as Pack A",
        ),
        (["lost+found"], ["\0", "Pack A"], "contains none"),
        (["Pack B"], ["Pack A", "Pack B"], None),
        (["Pack A"], [], None),
    ],
)
def test_a_folder_with_none_of_its_known_sounds_counts_as_unmounted(tmp_path, there, known, fault):
    for name in there:
        (tmp_path / name).mkdir()
    found = mount_fault(bytes(tmp_path), known)
    assert found == fault or (found or "").startswith(f"{tmp_path} {fault}")


def test_a_folder_that_cannot_be_listed_counts_as_unmounted(tmp_path):
    found = mount_fault(bytes(tmp_path / "gone"), ["Pack A"])
    assert found == f"{tmp_path}/gone cannot be listed: No such file or directory"
