"""A full disk in one process: one line with what to do, and exit code 3."""

import errno
import os
from types import SimpleNamespace

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from cli.console.exit_codes import Exit, explain
from db.scratch_table import ScratchSpaceError, scratch_table
from tests.support.databases import connected
from workers.recovery.crash_marker import CrashMarker


def test_doctor_detects_a_full_disk_of_the_data_folder(run_cli, monkeypatch):
    def full(**_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("cli.status.doctor.tempfile", SimpleNamespace(TemporaryFile=full))
    done = run_cli("doctor")
    assert done.code == 3
    assert "FAIL  data" in done.stdout
    assert "No space left on device" in done.stdout
    assert "1 check failed, 1 warning." in done.stdout


def test_a_full_disk_of_crash_markers(run_cli, folder, monkeypatch):
    def write(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", write)
    done = run_cli("ingest", folder)
    assert (done.code, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert ".note could not be written completely: No space left on device" in done.stderr


def test_a_disk_that_fills_up_during_a_run_and_the_next_run_continues(run_cli, folder, monkeypatch):
    # Given a disk that is full when a batch is to be written, and when it is to be handed back
    def full(*_args, **_more):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "cratesort.db")

    with monkeypatch.context() as patched:
        patched.setattr("workers.classification.sounds.save", full)
        patched.setattr("workers.recovery.failure_policy.recovery.hand_back", full)
        patched.setattr(CrashMarker, "hand_back_later", full)
        done = run_cli("ingest", folder)
    assert (done.code, done.stderr) == (
        3,
        "cratesort: cratesort.db could not be written completely: No space left on device; "
        "free some space there\n",
    )
    # When there is room again, then no run waits for a lease
    done = run_cli("ingest", folder, "--json")
    assert done.code == 0
    assert done.stderr == (
        "classifying 1 sound queued by an earlier run\nfinished the earlier run\n"
    )


def test_a_full_disk_of_the_database(sqlite_url):
    with connected(sqlite_url) as engine:
        # Given a database that may not grow
        @event.listens_for(engine, "connect")
        def _(connection, _record):
            connection.execute("PRAGMA max_page_count = 1")

        with engine.begin() as connection, pytest.raises(OperationalError) as full:
            connection.exec_driver_sql("CREATE TABLE much AS SELECT randomblob(1000000)")
    explanation = explain(full.value)
    assert explanation.exit_code == Exit.UNREACHABLE
    assert "(database or disk is full): free some space" in explanation.text
    assert len(explanation.text.splitlines()) == 1


def test_a_full_disk_of_temporary_files():
    many = ((number,) for number in range(10_000))

    def fill():
        with scratch_table("n INT PRIMARY KEY", cache_kib=1) as table:
            table.execute("PRAGMA max_page_count = 1")
            table.executemany("INSERT INTO scratch VALUES (?)", many)

    with pytest.raises(ScratchSpaceError) as full:
        fill()
    explanation = explain(full.value)
    assert explanation.exit_code == Exit.UNREACHABLE
    assert "TMPDIR" in explanation.text
