"""Reading a suspect in a process of its own. Not here: when that is done (`test_inprocess`)."""

import pytest

from tests.support import sounds
from workers.errors import LibraryRootAwayError
from workers.library_roots import LibraryRoot
from workers.recovery.isolated_read import IsolatedRead, read_isolated


def read(folder, name="kick.wav"):
    return read_isolated(LibraryRoot("packs", bytes(folder)), name, timeout_seconds=60)


def test_a_good_sound_survives(tmp_path):
    (tmp_path / "kick.wav").write_bytes(sounds.encoded())
    assert read(tmp_path) is IsolatedRead.SURVIVED


def test_a_sound_with_a_typed_error_survives(tmp_path):
    (tmp_path / "kick.wav").write_bytes(b"")
    assert read(tmp_path) is IsolatedRead.SURVIVED


def test_a_missing_root_is_not_the_files_fault(tmp_path):
    with pytest.raises(LibraryRootAwayError):
        read(tmp_path / "not mounted")


def test_a_workers_package_in_a_folder_of_sounds_is_not_run(tmp_path, monkeypatch):
    # Given a folder with a package of the same name
    (tmp_path / "kick.wav").write_bytes(sounds.encoded())
    (tmp_path / "workers").mkdir()
    for name in ("__init__.py", "recovery.py"):
        (tmp_path / "workers" / name).write_text("raise SystemExit(3)")
    # When a suspect is read by a process in that folder
    monkeypatch.chdir(tmp_path)
    # Then our package read it
    assert read(tmp_path) is IsolatedRead.SURVIVED
