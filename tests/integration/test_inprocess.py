"""Without a broker the terminal program does the work, and may die at any file of it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from tests.support import sounds
from tests.support.command_line import clean_environment
from tests.support.processes import stands_still
from tests.support.servers.lifecycle import die_with_parent, wait_until
from workers.recovery.crash_marker import live_markers


@pytest.fixture
def folder(tmp_path):
    """Ten sounds."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    for index in range(10):
        (folder / f"kick {index}.wav").write_bytes(sounds.encoded())
    return folder


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/.local/share/cratesort/cratesort.db"


@pytest.fixture
def settings(shim):
    return {**shim, "CRATESORT_BATCH_SIZE": "3"}


@pytest.fixture
def ingest_at_the_gate(tmp_path, folder, settings, gate, read_rows, url):
    """A running ``cratesort ingest`` that stands at ``gate.wav`` of its third batch."""
    (folder / "gate.wav").write_bytes(sounds.encoded())
    for index in range(6):  # sorted before the gate: two batches that are done
        (folder / f"bass {index}.wav").write_bytes(sounds.encoded())
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "ingest", str(folder)],
        cwd=tmp_path,
        env=clean_environment(tmp_path, settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    database = tmp_path / ".local" / "share" / "cratesort" / "cratesort.db"

    def stands_there():
        assert process.poll() is None, process.communicate()
        return database.exists() and is_migrated(read_rows, url) and len(read_rows(url)) == 6

    try:
        wait_until(stands_there, "it stands at the gate")
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def is_migrated(read_rows, url):
    try:
        read_rows(url)
    except OperationalError:
        return False
    return True


def names(rows):
    return [row.path.rpartition("/")[2] for row in rows]


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_batches_of_a_killed_run_are_finished_by_the_next(
    ingest_at_the_gate, run_cli, folder, settings, gate, read_rows, url
):
    # Given a run that is killed in the middle
    ingest_at_the_gate.kill()
    ingest_at_the_gate.wait()
    gate.unlink()

    # When the next one comes
    done = run_cli("ingest", folder, settings=settings)

    # Then every file has its one row
    assert done.code == 0, done.stderr
    assert "queued by an earlier run" in done.stderr
    assert names(read_rows(url)) == files_in(folder)
    assert all(row.category for row in read_rows(url))


def test_the_next_run_need_not_be_for_the_same_folder(
    ingest_at_the_gate, run_cli, folder, tmp_path, settings, gate, read_rows, url
):
    ingest_at_the_gate.kill()
    ingest_at_the_gate.wait()
    gate.unlink()
    (tmp_path / "other").mkdir()
    assert run_cli("ingest", "other", settings=settings).code == 0
    assert names(read_rows(url)) == files_in(folder)


def test_ctrl_c_loses_nothing_and_the_next_run_goes_on(
    ingest_at_the_gate, run_cli, folder, settings, gate, read_rows, url
):
    ingest_at_the_gate.send_signal(signal.SIGINT)
    _, stderr = ingest_at_the_gate.communicate()
    gate.unlink()
    assert ingest_at_the_gate.returncode == 130
    assert "Traceback" not in stderr
    assert len(read_rows(url)) == 6

    assert run_cli("ingest", folder, settings=settings).code == 0
    assert names(read_rows(url)) == files_in(folder)


def test_two_concurrent_runs_share_the_work_and_write_one_row_per_file(
    ingest_at_the_gate, run_cli, folder, settings, gate, read_rows, url
):
    # The second run of the same folder finds the first at the gate, opens it, and waits for it.
    gate.unlink()
    done = run_cli("ingest", folder, settings=settings)
    _, stderr = ingest_at_the_gate.communicate(timeout=60)
    assert (done.code, ingest_at_the_gate.returncode) == (0, 0), (done.stderr, stderr)
    assert names(read_rows(url)) == files_in(folder)


def test_a_file_that_crashes_its_reader_is_reported_by_the_next_run(
    run_cli, folder, settings, read_rows, url
):
    # Given a file that ends the program
    (folder / "abort.wav").write_bytes(sounds.encoded())
    killed = run_cli("ingest", folder, settings=settings, process=True)
    assert killed.code == -signal.SIGABRT

    # When it is run again
    done = run_cli("ingest", folder, settings=settings, process=True)

    # Then that file has its typed error, and all others their category
    assert done.code == 1, done.stderr
    rows = {row.path.rpartition("/")[2]: row for row in read_rows(url)}
    assert sorted(rows) == files_in(folder)
    assert rows.pop("abort.wav").error_code == "crashed_reader"
    assert all(row.category for row in rows.values())


def test_a_file_that_crashed_its_reader_is_not_retried_until_replaced(
    run_cli, folder, settings, read_rows, url
):
    # Given a file that is known to end the program
    bad = folder / "abort.wav"
    bad.write_bytes(sounds.encoded())
    run_cli("ingest", folder, settings=settings, process=True)
    run_cli("ingest", folder, settings=settings, process=True)

    # When nothing changed, then it is left alone
    again = run_cli("ingest", folder, settings=settings, process=True)
    assert again.code == 1
    assert "11 unchanged" in again.stdout

    # When it was replaced by a good one, then that one is classified
    bad.write_bytes(sounds.encoded("FLAC"))
    repaired = run_cli("ingest", folder, settings={})
    assert repaired.code == 0, repaired.stderr
    assert all(row.category for row in read_rows(url))


def test_two_files_that_crash_their_reader_take_one_run_each(
    run_cli, folder, settings, read_rows, url
):
    for name in ("abort 1.wav", "abort 2.wav"):
        (folder / name).write_bytes(sounds.encoded())
    codes = [run_cli("ingest", folder, settings=settings, process=True).code for _ in range(3)]
    assert codes == [-signal.SIGABRT, -signal.SIGABRT, 1]
    failed = [row for row in read_rows(url) if row.error_code]
    assert [row.error_code for row in failed] == ["crashed_reader", "crashed_reader"]
    assert names(read_rows(url)) == files_in(folder)


def test_a_run_leaves_no_crash_marker(run_cli, folder, settings, tmp_path):
    run_cli("ingest", folder, settings=settings, process=True)
    (of_this_host,) = (tmp_path / ".local/share/cratesort/running").iterdir()
    assert list(of_this_host.iterdir()) == []


def test_a_suspect_is_tried_three_times_in_separate_processes(
    run_cli, folder, settings, shim, read_rows, url
):
    # Given a run that died at a file
    (folder / "abort.wav").write_bytes(sounds.encoded())
    run_cli("ingest", folder, settings=settings, process=True)
    readers = Path(shim["TEST_MODULES"])
    assert len(list(readers.iterdir())) == 1
    # When the next run names it
    run_cli("ingest", folder, settings=settings, process=True)
    assert [row.error_code for row in read_rows(url) if row.error_code] == ["crashed_reader"]
    # Then four processes more have read: the run itself, and three that tried the suspect
    assert len(list(readers.iterdir())) == 5


def test_a_file_being_read_when_a_run_died_for_another_reason_is_classified(
    run_cli, folder, settings, read_rows, url
):
    # Given a run that died at a file, of something that has passed
    (folder / "abort.wav").write_bytes(sounds.encoded())
    run_cli("ingest", folder, settings=settings, process=True)
    # When the next run can read it
    done = run_cli("ingest", folder)
    # Then nothing is held against it
    assert done.code == 0, done.stderr
    assert names(read_rows(url)) == files_in(folder)
    assert all(row.category for row in read_rows(url))


def test_ctrl_c_twice_ends_a_stuck_run_and_the_next_run_reports_the_file(
    tmp_path, run_cli, folder, settings, read_rows, url
):
    # Given a run that a library in C does not let go of
    (folder / "stuck.wav").write_bytes(sounds.encoded())
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "ingest", str(folder)],
        cwd=tmp_path,
        env=clean_environment(tmp_path, settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent(signal.SIGKILL),
    )
    markers = tmp_path / ".local/share/cratesort/running"

    def stands_there():
        assert process.poll() is None
        at_the_file = any(
            (marker.batch_id, marker.index) == (4, 1)
            for folder in markers.glob("*")
            for marker in live_markers(folder)
        )
        return at_the_file and stands_still(process.pid)

    # When Ctrl-C is pressed until it ends
    def ends():
        process.send_signal(signal.SIGINT)
        return process.poll() is not None

    try:
        wait_until(stands_there, "it stands at the stuck file")
        wait_until(ends, "it ends")
    finally:
        process.kill()
    assert process.wait() == 130

    # Then the next run tries that file apart, and all others have their category
    done = run_cli(
        "ingest", folder, settings={**settings, "CRATESORT_TIME_LIMIT_SECONDS": "0.5"}, process=True
    )
    assert done.code == 1, done.stderr
    rows = {row.path.rpartition("/")[2]: row for row in read_rows(url)}
    assert sorted(rows) == files_in(folder)
    assert rows.pop("stuck.wav").error_code == "timed_out"
    assert all(row.category for row in rows.values())
