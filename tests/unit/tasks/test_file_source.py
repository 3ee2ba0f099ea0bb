"""What one ingest is asked for: which files the entries of a list name."""

import io
import os

import pytest

from classifier.tables.strict_csv import BadLine
from tasks.producer.file_source import FileSource
from tasks.producer.locator import FoundSound, Locator
from workers.settings import Settings


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "sounds"
    (folder / "pack").mkdir(parents=True)
    for name in ("pack/kick.wav", "pack/notes.txt"):
        (folder / name).write_bytes(b"12345")
    return folder


@pytest.fixture
def bad():
    """The bad lines of what was found."""
    return []


@pytest.fixture
def found(bad):
    """Find the sounds at paths, and those that a list of these bytes names."""

    def found(content, *paths, **settings) -> list[FoundSound]:
        source = FileSource(paths, Locator(Settings(**settings)), io.BytesIO(content))
        sounds = list(source)
        bad.extend(source.bad_lines)
        assert source.bad_line_count == len(bad)
        return sounds

    return found


def paths(found):
    return [sound.path for sound in found]


def test_a_listed_file_is_taken_whatever_its_name(found, folder, bad):
    assert paths(found(b"sounds/pack/notes.txt\n")) == [f"{folder}/pack/notes.txt"]
    assert bad == []


def test_a_listed_file_is_yielded_with_its_size_and_time(found, folder):
    [sound] = found(b"sounds/pack/kick.wav\n")
    status = os.stat(folder / "pack" / "kick.wav")
    assert (sound.file_size_bytes, sound.mtime_ns) == (5, status.st_mtime_ns)


def test_files_come_in_the_manifests_order(found, folder):
    content = b"sounds/pack/notes.txt\nsounds/pack/kick.wav\n"
    assert paths(found(content)) == [f"{folder}/pack/notes.txt", f"{folder}/pack/kick.wav"]


def test_a_listed_file_that_is_missing_is_left_to_a_worker(found, tmp_path, bad):
    [sound] = found(b"gone.wav\n")
    assert (sound.path, sound.file_size_bytes) == (f"{tmp_path}/gone.wav", None)
    assert bad == []


def test_a_file_listed_on_several_lines_is_yielded_once(found, folder, tmp_path):
    (tmp_path / "link.wav").symlink_to("sounds/pack/kick.wav")
    lines = [
        "sounds/pack/kick.wav",
        f"{folder}/pack/kick.wav",
        "sounds//./pack/kick.wav",
        "link.wav",
    ]
    assert paths(found("\n".join(lines).encode())) == [f"{folder}/pack/kick.wav"]


def test_a_walked_file_is_not_yielded_again_from_the_list(found, folder):
    content = b"sounds/pack/notes.txt\nsounds/pack/kick.wav\n"
    assert paths(found(content, "sounds")) == [
        f"{folder}/pack/kick.wav",
        f"{folder}/pack/notes.txt",
    ]


def test_a_source_is_described_by_its_first_paths_and_its_list(folder):
    locator = Locator(Settings())
    assert FileSource([b"\xe9", "b", "c", "d"], locator).description == r"\xe9, b, c"
    source = FileSource(["a"], locator, io.BytesIO(), "list.txt")
    assert source.description == "a, manifest list.txt"


def test_the_first_bad_lines_are_kept_and_all_are_counted():
    source = FileSource([], Locator(Settings()), io.BytesIO((b"x" * 5000 + b"\n") * 12))
    assert list(source) == []
    assert [line.line for line in source.bad_lines] == list(range(1, 11))
    assert source.bad_line_count == 12


def test_the_vendor_of_the_table_takes_precedence_over_the_path(found, folder):
    table = b"path,vendor\nsounds/pack/kick.wav,Acme\nsounds/pack/notes.txt,\n"
    sounds = found(table, library_roots={"main": folder}, vendor_level=1)
    assert [(sound.path, sound.vendor) for sound in sounds] == [
        ("pack/kick.wav", "Acme"),
        ("pack/notes.txt", "pack"),
    ]


def test_a_line_too_long_for_a_path_is_bad_and_the_others_are_taken(found, folder, bad):
    content = b"x" * 4096 + b"\nsounds/pack/kick.wav\n"
    assert paths(found(content)) == [f"{folder}/pack/kick.wav"]
    assert bad == [BadLine(1, "a path of 4,096 bytes is too long")]


def test_a_line_as_long_as_a_path_may_be_is_left_to_a_worker(found, bad):
    [sound] = found(b"/" + b"x" * 4094)
    assert sound.file_size_bytes is None
    assert bad == []


def test_a_path_outside_the_roots_is_bad_and_the_others_are_taken(found, folder, bad):
    content = b"/nowhere/kick.wav\nsounds/pack/kick.wav\n"
    assert paths(found(content, library_roots={"main": folder})) == ["pack/kick.wav"]
    [line] = bad
    assert line.line == 1
    assert f"CRATESORT_LIBRARY_ROOTS=main={folder}," in line.reason


def test_a_path_that_leaves_its_root_is_bad(found, folder, bad):
    assert found(b"sounds/../../etc/passwd\n", library_roots={"main": folder}) == []
    assert len(bad) == 1


def test_a_folder_link_that_leaves_its_root_is_refused(found, folder, bad, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "kick.wav").touch()
    (folder / "link").symlink_to("../other")
    assert found(b"sounds/link/kick.wav\n", library_roots={"main": folder}) == []
    assert len(bad) == 1


def test_a_linked_file_within_a_root_keeps_its_own_path(found, folder):
    (folder / "link.wav").symlink_to("pack/kick.wav")
    assert paths(found(b"sounds/link.wav\n", library_roots={"main": folder})) == ["link.wav"]


def test_a_library_root_itself_is_bad(found, folder, bad):
    assert found(b"sounds\n", library_roots={"main": folder}) == []
    assert [str(line) for line in bad] == ["line 1: sounds is a library root, not a file"]


def test_a_malformed_line_of_the_table_is_reported(found, folder, bad):
    content = b'path,vendor\nsounds/pack/kick.wav,Acme\n"never closed\n'
    assert paths(found(content)) == [f"{folder}/pack/kick.wav"]
    assert [line.line for line in bad] == [3]


def test_no_file_system_error_of_a_path_stops_a_manifest(found, folder, bad):
    (folder / "chain0").symlink_to("pack")
    for number in range(1, 1500):
        (folder / f"chain{number}").symlink_to(f"chain{number - 1}")
    (folder / "loop").symlink_to("loop")
    lines = ["chain1499/a.wav", "loop/a.wav", "pack/kick.wav/a.wav", 300 * "n", "pack/kick.wav"]
    content = "".join(f"{folder}/{line}\n" for line in lines).encode()
    # The rest of the chain stays in its path
    lines[0] = "chain1459/a.wav"
    assert paths(found(content, library_roots={"main": folder})) == lines
    assert bad == []


def test_a_vendor_is_cut_to_the_length_of_a_name(found, folder, bad):
    content = f"path,vendor\n{folder}/pack/a.wav,{256 * 'v'}\n{folder}/pack/kick.wav,Acme\n"
    assert paths(found(content.encode())) == [f"{folder}/pack/kick.wav"]
    assert bad == [BadLine(2, "its vendor has 256 characters; expected at most 255")]
