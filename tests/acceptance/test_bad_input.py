"""What bad input gets: one row each with a code of the closed list, never a traceback."""

import errno
import json
import os
import shutil
import struct

import pytest

from classifier.errors import ErrorCode
from tests.support import sounds
from tests.support.command_line import parsed
from workers.reading import sound_headers

GOOD = sounds.encoded()

#: Names of files that are bad by their content.
BAD_CONTENT = {
    "empty.wav": (b"", "empty_file", "the file is empty (0 bytes)"),
    "no frames.wav": (
        GOOD[:40] + struct.pack("<I", 0),
        "empty_file",
        "states a length of 0 frames",
    ),
    "cut.wav": (GOOD[:-100], "truncated", "100 more bytes of sound than the file contains"),
    "letter.wav": (b"Dear Sir or Madam,\n", "not_audio", "its first bytes are text"),
    "zeros.mp3": (bytes(1000), "not_audio", "its first bytes are zeros"),
    "photo.flac": (b"\xff\xd8\xff\xe0\0\x10JFIF", "not_audio", "its first bytes are binary data"),
    "song.m4a.wav": (b"\0\0\0\x20ftypM4A ", "unsupported_format", "MPEG-4"),
    "ima.wav": (sounds.wav_with(tag=0x11), "unsupported_format", "IMA ADPCM"),
    "half a header.wav": (GOOD[:20], "invalid_header", "WAV header has no complete"),
    "half a flac.flac": (b"fLaC\0\0", "invalid_header", "FLAC header cannot be read"),
    "orchestra.wav": (sounds.wav_with(channels=1000), "limit_exceeded", "1,000 channels"),
}

#: Names of things that are no readable file.
BAD_FILES = {
    "pipe.wav": ("not_a_file", "a named pipe"),
    "secret.wav": ("permission_denied", "permission to read it was denied"),
    "dangling.wav": ("missing_file", "a broken symbolic link"),
    "circle.wav": ("symlink_loop", "form a loop"),
    "out.wav": ("outside_root", "because the link leads outside the folder; ingest"),
    "device link.wav": ("outside_root", "leads to a file without an audio extension; ingest"),
}

#: Odd names of good sounds, as bytes, and how their rows spell them.
ODD_NAMES = {
    b"latin \xe9t\xe9.wav": "latin \\xe9t\\xe9.wav",
    b"two\nlines.wav": "two\nlines.wav",
    b"n" * 251 + b".wav": "n" * 251 + ".wav",
    b"0001.wav": "0001.wav",
    b"12345": "12345",
    b"kick": "kick",
    b".hidden.wav": ".hidden.wav",
    b"back\\x41slash.wav": "back\\x41slash.wav",
    "\u202egnp.wav".encode(): "\u202egnp.wav",
    b"\x1b[2Jclear.wav": "\x1b[2Jclear.wav",
}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A folder that was not asked for."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def bad_folder(tmp_path_factory, elsewhere):
    """Every case in one folder."""
    folder = tmp_path_factory.mktemp("bad")
    for name, (content, _, _) in BAD_CONTENT.items():
        (folder / name).write_bytes(content)
    for name in ODD_NAMES:
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write(GOOD)
    (folder / "flac in disguise.wav").write_bytes(sounds.encoded("FLAC"))
    (folder / "folder.wav").mkdir()
    os.mkfifo(folder / "pipe.wav")
    (folder / "secret.wav").write_bytes(GOOD)
    (folder / "secret.wav").chmod(0)
    (folder / "dangling.wav").symlink_to("nowhere.wav")
    (folder / "circle.wav").symlink_to("circle.wav")
    (elsewhere / "other.wav").write_bytes(GOOD)
    (folder / "out.wav").symlink_to(elsewhere / "other.wav")
    (folder / "device link.wav").symlink_to("/dev/zero")
    # Passed over, not bad:
    (folder / "._kick.wav").write_bytes(b"macOS")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "kick.wav").write_bytes(b"macOS")
    (folder / "notes.txt").write_text("hello")
    (folder / "twin.wav").symlink_to("0001.wav")
    return folder


@pytest.fixture(scope="module")
def ended(run_at_home, bad_folder):
    """The run of `cratesort ingest` over all of it."""
    return run_at_home("ingest", bad_folder, obey_permissions=True)


@pytest.fixture(scope="module")
def rows(ended, run_at_home, bad_folder):
    """Its rows by name below the folder."""
    listed = parsed(run_at_home("results", "--format", "json").stdout)
    by_name = {row["path"].removeprefix(f"{bad_folder}/"): row for row in listed}
    assert len(by_name) == len(listed)
    return by_name


BAD = {name: case[1:] for name, case in BAD_CONTENT.items()} | BAD_FILES


def test_sounds_without_a_category_give_exit_code_1(ended):
    assert ended.code == 1


def test_there_is_no_traceback_or_other_noise(ended):
    assert ended.stderr == ""


def test_every_file_has_exactly_one_row(rows):
    assert set(rows) == {*BAD, *ODD_NAMES.values(), "flac in disguise.wav"}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_listed_with_its_code_and_reason(rows, name):
    code, reason = BAD[name]
    assert rows[name]["error_code"] == code
    assert reason in rows[name]["error_message"]
    assert rows[name]["category"] is None


@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ascii)
def test_a_sound_with_an_unusual_name_gets_its_category(rows, name):
    assert rows[name]["error_code"] is None
    assert rows[name]["category"]


def test_a_sound_with_a_misleading_extension_is_classified_with_a_note(rows):
    row = rows["flac in disguise.wav"]
    assert row["category"]
    assert row["note"] == "its extension is .wav, but its format is FLAC"


def test_ignored_files_are_counted_by_kind(ended):
    assert "ignored: 2 macOS leftovers, 1 .txt, 1 link" in ended.stdout


def test_codes_are_all_of_the_closed_list(rows):
    codes = {row["error_code"] for row in rows.values()} - {None}
    assert codes <= set(ErrorCode)


def test_names_with_control_characters_are_shown_escaped(run_at_home, rows):
    shown = run_at_home("results").stdout
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_a_second_run_reports_sounds_without_a_category_again(run_at_home, rows, bad_folder):
    assert run_at_home("ingest", bad_folder, obey_permissions=True).code == 1
    assert len(parsed(run_at_home("results", "--format", "json").stdout)) == len(rows)


@pytest.mark.parametrize("name", [name for name in BAD if name != "out.wav"])
def test_a_bad_file_given_by_path_gets_its_row(run_cli, read_results, bad_folder, name):
    # Named, a link is followed; so what this one leads to, a device, is refused as itself.
    code = "not_a_file" if name == "device link.wav" else BAD[name][0]
    done = run_cli("ingest", bad_folder / name, obey_permissions=True)
    assert (done.code, done.stderr) == (1, "")
    assert [row["error_code"] for row in read_results()] == [code]


def test_a_folder_given_by_path_is_walked_whatever_its_name(ingest_json, bad_folder):
    assert ingest_json(bad_folder / "folder.wav")["found"] == 0


def test_a_link_given_by_path_is_followed(ingest_json, read_results, bad_folder, elsewhere):
    assert ingest_json(bad_folder / "out.wav")["classified"] == 1
    assert read_results()[0]["path"] == str(elsewhere / "other.wav")


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_a_sound_with_an_unusual_name_given_by_path_gets_its_category(
    ingest_json, bad_folder, name
):
    report = ingest_json(os.path.join(os.fsencode(bad_folder), name))
    assert (report["classified"], report["failed"]) == (1, 0)


def test_an_inaccessible_folder_is_reported_with_exit_code_1(run_cli, tmp_path):
    (tmp_path / "sounds" / "locked").mkdir(parents=True)
    (tmp_path / "sounds" / "locked").chmod(0)
    done = run_cli("ingest", "sounds", obey_permissions=True)
    assert done.code == 1
    assert done.stderr == f"warning: folder not read: {tmp_path}/sounds/locked: Permission denied\n"


def test_a_file_dated_beyond_the_database_range_is_classified(run_cli, tmp_path):
    folder = tmp_path / "sounds"
    folder.mkdir()
    path = folder / "kick.wav"
    path.write_bytes(sounds.encoded())
    os.utime(path, ns=(10**19, 10**19))
    assert run_cli("ingest", folder).code == 0
    assert "1 unchanged" in run_cli("ingest", folder).stdout


@pytest.fixture
def pack(tmp_path):
    """A folder of three sounds."""
    folder = tmp_path / "sounds" / "Pack"
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"kick {number}.wav").write_bytes(GOOD)
    return folder


@pytest.fixture
def fail_to_read(monkeypatch):
    """Make the storage fail for sounds whose name has this part."""

    def fail(part):
        read_header = sound_headers.read_header

        def failing(fd, size_bytes, name):
            if part in name:
                raise OSError(errno.EIO, "Input/output error")
            return read_header(fd, size_bytes, name)

        monkeypatch.setattr(sound_headers, "read_header", failing)

    return fail


def test_a_file_with_a_storage_error_gets_its_row(run_cli, read_results, pack, fail_to_read):
    fail_to_read("kick 1")
    for _ in range(2):  # it is looked at again, and alone
        done = run_cli("ingest", pack)
        assert (done.code, done.stderr) == (1, "")
    rows = {os.path.basename(row["path"]): row for row in read_results()}
    assert sorted(rows) == ["kick 0.wav", "kick 1.wav", "kick 2.wav"]
    assert [name for name, row in rows.items() if row["error_code"]] == ["kick 1.wav"]
    assert rows["kick 1.wav"]["error_code"] == "storage_error"


@pytest.fixture
def fail_to_look(monkeypatch):
    """Make the storage fail for whatever has this name."""

    def fail(name, calls):
        def failing(call):
            def look(path, *more, **options):
                if isinstance(path, str | bytes) and os.path.basename(os.fsencode(path)) == name:
                    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), path)
                return call(path, *more, **options)

            return look

        for call in calls:
            monkeypatch.setattr(os, call, failing(getattr(os, call)))

    return fail


@pytest.mark.parametrize(("name", "calls"), [(b"Pack", ("stat", "lstat")), (b"Pack", ("scandir",))])
def test_ingest_of_a_folder_with_a_storage_error_reports_the_reason(
    run_cli, pack, fail_to_look, name, calls
):
    fail_to_look(name, calls)
    done = run_cli("ingest", pack)
    assert done.code == 3
    assert "Pack: Stale file handle" in done.stderr
    assert "nothing here" not in done.stdout


def test_explain_of_a_file_with_a_storage_error_shows_the_failure(
    run_cli, pack, fail_to_look, fail_to_read
):
    fail_to_look(b"kick 1.wav", ("stat", "lstat"))
    fail_to_read("kick 1")
    done = run_cli("explain", "--json", pack / "kick 1.wav")
    assert done.code == 1
    assert json.loads(done.stdout)["sounds"][0]["error_code"] == "storage_error"


def test_if_nothing_can_be_read_it_is_reported_and_the_next_run_continues(
    run_cli, read_results, pack, fail_to_read, monkeypatch
):
    with monkeypatch.context():
        fail_to_read("kick")
        done = run_cli("ingest", pack)
        assert done.code == 3
        assert "kick 0.wav: the storage failed" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert read_results() == []
    monkeypatch.undo()
    assert run_cli("ingest", pack).code == 0
    assert all(row["category"] for row in read_results())


def test_an_unreadable_batch_does_not_block_the_others(run_cli, read_results, pack, fail_to_read):
    shutil.copytree(pack, pack.with_name("Second Pack"))
    for sound in pack.with_name("Second Pack").iterdir():
        sound.rename(sound.with_name(sound.name.replace("kick", "snare")))
    fail_to_read("kick")
    done = run_cli("ingest", pack.parent, settings={"CRATESORT_BATCH_SIZE": "3"})
    assert done.code == 3
    names = [os.path.basename(row["path"]) for row in read_results()]
    assert names == ["snare 0.wav", "snare 1.wav", "snare 2.wav"]
