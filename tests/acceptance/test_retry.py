"""``cratesort retry``: what failed is tried again, changed or not, and nothing else is touched."""

import json
import os
import shutil
import sqlite3
from contextlib import closing

import pytest

from tests.support import sounds
from tests.support.places import REPOSITORY

SHIM = {"PYTHONPATH": f"{REPOSITORY / 'tests' / 'support' / 'shims'}:{REPOSITORY}"}


@pytest.fixture
def locked(folder):
    """A sound that this user may not read until it is mended."""
    path = folder / "locked.wav"
    path.write_bytes(sounds.encoded())
    path.chmod(0)
    return path


def mend(path):
    path.chmod(0o644)


@pytest.fixture
def crashed(folder, ingest):
    """A sound that was given up: it ended its readers while the shim was there."""
    path = folder / "abort.wav"
    path.write_bytes(sounds.encoded())
    ingest(settings=SHIM, process=True)  # dies
    ingest(settings=SHIM, process=True)  # names it
    return path


@pytest.fixture
def ingest(run_cli, folder):
    """``cratesort ingest`` of the folder, as a user whom permissions bind."""
    return lambda **options: run_cli("ingest", folder, obey_permissions=True, **options)


@pytest.fixture
def retry(run_cli):
    """``cratesort retry``, by the same user."""
    return lambda *arguments, **options: run_cli(
        "retry", *arguments, obey_permissions=True, **options
    )


@pytest.fixture
def outcomes(read_results):
    """Each name's category or error code; True stands for any category."""

    def read():
        return {
            row["path"].rpartition("/")[2]: row["error_code"] or row["category"] is not None
            for row in read_results()
        }

    return read


@pytest.fixture
def ask(tmp_path):
    """What the ledger's SQLite file answers to a query."""

    def ask(query):
        path = tmp_path / ".local/share/cratesort/cratesort.db"
        with closing(sqlite3.connect(path)) as database, database:
            return database.execute(query).fetchall()

    return ask


def batches_of(ask, ingest_id):
    """How many sounds each of an ingest's batches holds, and whether it is a suspect."""
    query = f"SELECT sound_count, suspect FROM batches WHERE ingest_id = {ingest_id} ORDER BY id"  # noqa: S608
    return [(count, bool(suspect)) for count, suspect in ask(query)]


# What is tried


def test_a_file_repaired_without_a_new_size_or_time_is_classified(ingest, retry, folder, outcomes):
    # Given a broken file that is repaired with its old size and time
    broken, good = folder / "broken.wav", sounds.encoded()
    broken.write_bytes(bytes(len(good)))
    assert ingest().code == 1
    assert outcomes() == {"kick.wav": True, "broken.wav": "not_audio"}
    seen = broken.stat()
    broken.write_bytes(good)
    os.utime(broken, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert "2 unchanged" in ingest().stdout

    # When what failed is tried again
    done = retry("--failed")

    # Then it has its category
    assert done.code == 0, done.stderr
    assert "retrying 1 sound without a category" in done.stdout
    assert "1 classified, 0 failed" in done.stdout
    assert outcomes() == {"kick.wav": True, "broken.wav": True}


def test_a_file_still_broken_fails_again_with_exit_code_1(ingest, retry, locked, outcomes):
    ingest()
    done = retry("--failed")
    assert done.code == 1
    assert "0 classified, 1 failed" in done.stdout
    assert outcomes()["locked.wav"] == "permission_denied"


def test_a_sound_that_was_given_up_is_classified_after_the_cause_is_fixed(retry, crashed, outcomes):
    assert outcomes()["abort.wav"] == "crashed_reader"
    done = retry("--failed")
    assert done.code == 0, done.stderr
    assert outcomes() == {"kick.wav": True, "abort.wav": True}


def test_a_sound_that_still_crashes_its_reader_does_not_stop_the_retry(retry, crashed, outcomes):
    done = retry("--failed", settings=SHIM, process=True)
    assert done.code == 1, done.stderr
    assert outcomes() == {"kick.wav": True, "abort.wav": "crashed_reader"}


def test_the_code_option_selects_sounds_by_error_code(ingest, retry, folder, locked, outcomes):
    # Given two files that failed for two reasons, and both are repaired
    (folder / "note.wav").write_text("Dear Sir\n")
    ingest()
    mend(locked)
    shutil.copyfile(folder / "kick.wav", folder / "note.wav")

    # When those with one of the codes are tried, then the other keeps its row
    assert retry("--failed", "--code", "permission_denied").code == 0
    assert outcomes() == {"kick.wav": True, "locked.wav": True, "note.wav": "not_audio"}

    # When the other code is given, then that file has its category, too
    assert retry("--failed", "--code", "not_audio").code == 0
    assert outcomes()["note.wav"] is True


def test_a_deleted_file_is_reported_as_missing(ingest, retry, folder, locked, outcomes):
    ingest()
    locked.unlink()
    assert retry("--failed").code == 1
    assert outcomes()["locked.wav"] == "missing_file"


# What is left alone


def test_classified_rows_and_labels_are_unchanged(ingest, retry, locked, ask, read_results):
    # Given labels on a sound with a category and on one without
    ingest()
    ask("UPDATE sounds SET label = 'vocal', label_source = 'a person'")
    before = {row["path"]: row for row in read_results()}
    mend(locked)

    # When what failed is tried again
    assert retry("--failed").code == 0

    # Then the one has the same row, time and all, and both have their labels
    after = {row["path"]: row for row in read_results()}
    good, mended = sorted(after)
    assert after[good] == before[good]
    assert after[mended]["label"] == "vocal"
    assert after[mended]["category"] is not None


def test_pack_and_vendor_are_kept(ingest, retry, locked, ask):
    ingest()
    ask("UPDATE sounds SET pack = 'a pack', vendor = 'a vendor'")
    mend(locked)
    retry("--failed")
    assert ask("SELECT DISTINCT pack, vendor FROM sounds") == [("a pack", "a vendor")]


# How it is packed


@pytest.mark.parametrize("count", [6, 7])
def test_more_sounds_than_one_batch_are_each_tried_once(ingest, retry, folder, ask, count):
    for index in range(count):
        (folder / f"{index}.wav").touch()
    small = {"CRATESORT_BATCH_SIZE": "3"}
    ingest(settings=small)
    report = json.loads(retry("--failed", "--json", settings=small).stdout)
    assert (report["enqueued"], report["failed"]) == (count, count)
    assert sum(sounds for sounds, _ in batches_of(ask, 2)) == count
    assert max(sounds for sounds, _ in batches_of(ask, 2)) == 3
    assert ask("SELECT count(*) FROM ingests WHERE submitted_at IS NULL") == [(0,)]


def test_sounds_that_were_given_up_are_retried_alone_and_others_in_one_batch(
    ingest, retry, folder, ask
):
    # Given three broken files and two that were given up, in turns
    for index in range(5):
        (folder / f"{index}.wav").touch()
    ingest()
    for name, code in (("1.wav", "timed_out"), ("3.wav", "internal_error")):
        ask(f"UPDATE sounds SET error_code = '{code}' WHERE path LIKE '%/{name}'")  # noqa: S608
    # When they are tried again
    retry("--failed")
    # Then no sound shares a batch with a suspect
    assert sorted(batches_of(ask, 2)) == [(1, True), (1, True), (3, False)]


# What is said


def test_without_failed_sounds_the_exit_code_is_0(ingest, retry):
    ingest()
    done = retry("--failed")
    assert done.code == 0
    assert done.stdout == "no failed sounds to retry\n"


def test_without_failed_sounds_json_has_the_same_keys(ingest, retry):
    ingest()
    done = retry("--failed", "--code", "timed_out", "--json")
    report = json.loads(done.stdout)
    assert done.code == 0
    assert (report["enqueued"], report["classified"], report["failed"]) == (0, 0, 0)


def test_json_has_the_outcome(ingest, retry, locked):
    ingest()
    report = json.loads(retry("--failed", "--json").stdout)
    assert list(report) == ["ingest_id", "enqueued", "classified", "failed", "seconds"]
    assert [report[key] for key in list(report)[:4]] == [2, 1, 0, 1]


def test_without_waiting_the_next_ingest_classifies_the_sounds(
    ingest, retry, locked, outcomes, ask
):
    # Given a file that is repaired
    ingest()
    mend(locked)
    # When the command does not wait
    done = retry("--failed", "--no-wait", "--json")
    assert done.code == 0
    assert list(json.loads(done.stdout)) == ["ingest_id", "enqueued"]
    assert outcomes()["locked.wav"] == "permission_denied"
    # Then the next ingest does
    assert ingest().code == 0
    assert outcomes()["locked.wav"] is True


def test_status_counts_given_up_sounds_and_names_the_command(run_cli, crashed):
    assert json.loads(run_cli("status", "--json").stdout)["sounds"]["given_up"] == 1
    shown = run_cli("status").stdout
    assert "1 sound was given up after repeated failures" in shown
    assert "cratesort retry --failed" in shown


def test_status_does_not_count_a_broken_file_as_given_up(ingest, run_cli, locked):
    ingest()
    assert json.loads(run_cli("status", "--json").stdout)["sounds"]["given_up"] == 0
    assert "given up" not in run_cli("status").stdout


def test_the_ingest_is_named_after_the_retry_options(ingest, retry, run_cli, locked):
    ingest()
    retry("--failed", "--code", "permission_denied")
    latest = json.loads(run_cli("status", "--json").stdout)["ingests"][0]
    assert latest["source"] == "retry --failed --code permission_denied"


# Wrong usage


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected --failed, or"),
        (["--code", "timed_out"], "expected --failed, or"),
        (["--failed", "--code"], "requires an argument"),
        (["--failed", "somewhere"], "unexpected extra argument"),
    ],
    ids=" ".join,
)
def test_a_usage_error_is_exit_code_2(retry, arguments, said):
    done = retry(*arguments)
    assert (done.code, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_code_is_refused_with_the_valid_ones(retry):
    done = retry("--failed", "--code", "broken")
    assert done.code == 2
    for code in ("missing_file", "timed_out", "internal_error"):
        assert f"'{code}'" in done.stderr


# The world


def test_an_unavailable_root_fails_no_sound(ingest, retry, folder, tmp_path, outcomes):
    # Given a sound of a library root that was given up, and is no trouble any more
    roots = {"CRATESORT_LIBRARY_ROOTS": f"main={folder}"}
    (folder / "abort.wav").write_bytes(sounds.encoded())
    for _ in range(2):
        ingest(settings=roots | SHIM, process=True)
    # When it is tried again while the root is away
    folder.rename(tmp_path / "elsewhere")
    away = retry("--failed", settings=roots)
    # Then that is said, and the sound is classified as soon as the root is back
    assert "cannot be read" in away.stderr, away.stdout
    (tmp_path / "elsewhere").rename(folder)
    assert ingest(settings=roots).code == 0
    assert outcomes() == {"kick.wav": True, "abort.wav": True}


def test_sounds_of_a_root_no_longer_configured_do_not_stop_later_runs(
    ingest, retry, folder, locked, run_cli, tmp_path
):
    # Given a sound that failed before library roots were configured
    ingest()
    roots = {"CRATESORT_LIBRARY_ROOTS": f"main={folder}"}
    # When what failed is tried again with roots, then that is said
    assert "2 sounds have absolute paths" in retry("--failed", settings=roots).stderr
    # And other work goes on
    done = run_cli("ingest", folder / "kick.wav", settings=roots)
    assert done.code == 0, done.stderr


# A fleet in the middle of an upgrade


def test_unknown_values_of_a_newer_version_stop_no_command(
    ingest, retry, run_cli, folder, ask, outcomes
):
    # Given rows of a newer version, with words that this one does not know
    (folder / "broken.wav").write_bytes(b"RIFF")
    ingest()
    ask("UPDATE sounds SET error_code = 'of_tomorrow' WHERE status = 'failed'")
    ask("UPDATE sounds SET evidence = 'of_tomorrow', playback_source = 'of_tomorrow'")
    ask(
        "UPDATE sounds SET label = 'bass', label_source = 'of_tomorrow', labelled_by = 'it', "
        "labelled_at = classified_at WHERE id = (SELECT min(id) FROM sounds WHERE category <> '')"
    )
    (path,) = next(iter(ask("SELECT path FROM sounds WHERE label <> ''")))
    # When commands meet them, then none fails, and they show the words as they are
    assert ingest().code == 1  # the broken file counts
    for command in (
        ("status",),
        ("results", "--failed"),
        ("results", "--format", "csv"),
        ("labels", "export"),
        ("labels", "stats"),
        ("explain", path),
        ("metrics", "--print"),
    ):
        done = run_cli(*command, obey_permissions=True)
        assert done.code == 0, (command, done.stderr)
        assert "of_tomorrow" in done.stdout, command
    # And a failure is tried again as any other
    assert retry("--failed").code == 1
    assert outcomes()["broken.wav"] == "not_audio"
    # Nor does another label by this version, or a file of which that version said it was filed
    ask("UPDATE sounds SET status = 'of_tomorrow' WHERE error_code <> ''")
    assert ingest().code in (0, 1)
    assert run_cli("labels", "set", path, "synth", obey_permissions=True).code == 0
