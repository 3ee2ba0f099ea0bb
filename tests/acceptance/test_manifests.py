"""Lists of files in place of folders: ``cratesort ingest --manifest``."""

import json
import os

import pytest

from tests.support import sounds


@pytest.fixture
def folder(tmp_path):
    """Three sounds, one without an extension."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    for name in ("kick.wav", "snare.wav", "hat"):
        (folder / name).write_bytes(sounds.encoded())
    return folder


@pytest.fixture
def by_manifest(run_cli, tmp_path):
    """Ingest what these bytes list, given as a file."""

    def run(content):
        (tmp_path / "list").write_bytes(content)
        return run_cli("ingest", "--manifest", tmp_path / "list")

    return run


def names(rows):
    return [os.path.basename(row["path"]) for row in rows]


def test_a_table_with_other_columns_is_refused_before_anything_is_written(run_cli, tmp_path):
    table = tmp_path / "results.csv"
    table.write_text("path,pack,category\na.wav,b,drum\n")
    refused = run_cli("ingest", "--manifest", table)
    assert refused.code == 2
    assert "the manifest starts like a table, with 'path,pack,category'" in refused.stderr
    assert json.loads(run_cli("status", "--json").stdout)["ingests"] == []


def test_each_listed_file_is_taken_whatever_its_name(by_manifest, folder, read_results):
    done = by_manifest(f"{folder}/kick.wav\n{folder}/hat\n".encode())
    assert done.code == 0, done.stderr
    assert names(read_results()) == ["hat", "kick.wav"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0"], ids=["LF", "CRLF", "NUL"])
def test_entries_may_end_with_any_usual_separator(by_manifest, folder, read_results, end):
    paths = [os.fsencode(folder / name) for name in ("kick.wav", "snare.wav")]
    assert by_manifest(end.join([*paths, b""])).code == 0
    assert names(read_results()) == ["kick.wav", "snare.wav"]


def test_a_manifest_can_be_read_from_standard_input(run_cli, folder, read_results):
    done = run_cli("ingest", "--manifest", "-", stdin=f"{folder}/kick.wav".encode())
    assert done.code == 0, done.stderr
    assert names(read_results()) == ["kick.wav"]


def test_nul_separated_names_may_contain_newlines(by_manifest, folder, read_results):
    (folder / "two\nlines.wav").write_bytes(sounds.encoded())
    assert by_manifest(f"{folder}/two\nlines.wav\0".encode()).code == 0
    assert names(read_results()) == ["two\nlines.wav"]


def test_relative_paths_are_relative_to_the_current_folder(by_manifest, folder, read_results):
    assert by_manifest(b"sounds/kick.wav\n./sounds/../sounds/snare.wav\n").code == 0
    assert names(read_results()) == ["kick.wav", "snare.wav"]


def test_a_name_that_is_not_utf8_is_accepted(by_manifest, folder, read_results):
    with open(os.fsencode(folder) + b"/\xe9.wav", "wb") as file:
        file.write(sounds.encoded())
    assert by_manifest(os.fsencode(folder) + b"/\xe9.wav\n").code == 0
    assert names(read_results()) == ["\\xe9.wav"]


def test_a_table_gives_each_file_its_vendor(by_manifest, folder, read_results):
    done = by_manifest(f"path,vendor\n{folder}/kick.wav,Acme\n{folder}/hat,\n".encode())
    assert done.code == 0, done.stderr
    vendors = {os.path.basename(row["path"]): row["vendor"] for row in read_results()}
    assert vendors == {"kick.wav": "Acme", "hat": "sounds"}


def test_a_file_listed_twice_has_one_row(by_manifest, folder, read_results):
    by_manifest(f"{folder}/kick.wav\n{folder}/kick.wav\nsounds/kick.wav\n".encode())
    assert names(read_results()) == ["kick.wav"]


def test_a_missing_listed_file_gets_an_error_row(by_manifest, folder, read_results):
    done = by_manifest(f"{folder}/gone.wav\n{folder}/kick.wav\n".encode())
    assert (done.code, done.stderr) == (1, "")
    codes = {os.path.basename(row["path"]): row["error_code"] for row in read_results()}
    assert codes == {"gone.wav": "missing_file", "kick.wav": None}


def test_a_listed_folder_gets_an_error_row(by_manifest, folder, read_results):
    done = by_manifest(f"{folder}\n".encode())
    assert (done.code, done.stderr) == (1, "")
    assert [row["error_code"] for row in read_results()] == ["not_a_file"]


def test_a_bad_line_is_reported_with_its_number_and_the_others_are_ingested(
    by_manifest, folder, read_results
):
    done = by_manifest(f"{folder}/kick.wav\n{'x' * 5000}\n{folder}/hat\n".encode())
    assert done.code == 1
    assert done.stderr == "manifest line 2: a path of 5,000 bytes is too long\n"
    assert names(read_results()) == ["hat", "kick.wav"]


def test_an_impossible_file_name_gets_an_error_row(by_manifest, read_results):
    done = by_manifest(b"/" + b"n" * 300 + b".wav\n")
    assert (done.code, done.stderr) == (1, "")
    assert [row["error_code"] for row in read_results()] == ["invalid_path"]


def test_the_list_of_bad_lines_is_bounded(by_manifest):
    done = by_manifest(b"\n".join([b"x" * 5000] * 25))
    assert done.code == 1
    assert len(done.stderr.splitlines()) == 11
    assert done.stderr.endswith("manifest: 15 more invalid lines\n")


@pytest.mark.parametrize(
    "content", [b"", b"\n\n\r\n", b"\xef\xbb\xbf", b"path,vendor\n"], ids=ascii
)
def test_an_empty_manifest_changes_nothing(by_manifest, content):
    done = by_manifest(content)
    assert (done.code, done.stderr) == (0, "")
    assert "0 sounds found" in done.stdout


@pytest.mark.parametrize(
    "content",
    [b'path,vendor\n"never closed\n,,,\n\xff,\xfe\n', bytes(range(256))],
    ids=["a broken table", "every byte"],
)
def test_a_binary_manifest_gives_no_traceback(by_manifest, content):
    done = by_manifest(content)
    assert done.code == 1
    assert "Traceback" not in done.stderr


def test_a_missing_manifest_is_a_usage_error(run_cli):
    done = run_cli("ingest", "--manifest", "nowhere.txt")
    assert (done.code, done.stderr) == (2, "cratesort: nowhere.txt: No such file or directory\n")


def test_a_folder_as_a_manifest_is_a_usage_error(run_cli, folder):
    done = run_cli("ingest", "--manifest", folder)
    assert (done.code, done.stderr) == (2, f"cratesort: {folder}: Is a directory\n")


def test_a_file_named_twice_as_path_and_in_the_manifest_is_found_once(run_cli, library):
    listed = "\n".join(map(str, sorted(library.rglob("*.wav")))).encode()
    done = run_cli("ingest", library, "--manifest", "-", "--json", stdin=listed)
    counts = json.loads(done.stdout)
    assert counts["found"] == counts["classified"] == 79
