"""The line that a user reads about an error, and the exit code."""

import errno
import os
import sqlite3

import psycopg
import pytest
import redis.exceptions
from sqlalchemy.exc import OperationalError

from cli.console.exit_codes import Exit, Explanation, explain


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.EIO, "Input/output error", "/a/list.txt"), "/a/list.txt: Input/output"),
        (OSError(errno.ETIMEDOUT, "Timed out", b"/a/\x1b.wav"), r"/a/\x1b.wav: Timed out"),
        (OSError(errno.ECONNRESET, "Reset"), "the storage of a file fails: Reset"),
        (OSError(errno.EIO, "Input/output error"), "the storage of a file fails: Input"),
        (TimeoutError("slow"), "the storage of a file fails: slow"),
    ],
)
def test_a_storage_error_is_not_reported_as_a_redis_error(error, message):
    explanation = explain(error)
    assert explanation.text.startswith(message)
    assert explanation.exit_code is Exit.UNREACHABLE


def test_a_current_folder_that_was_deleted_is_not_a_bug(tmp_path, monkeypatch):
    folder = tmp_path / "deleted"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    with pytest.raises(FileNotFoundError) as refused:
        os.getcwd()
    assert explain(refused.value) == Explanation(
        "the current folder does not exist any more; change to another folder", Exit.USAGE
    )
    monkeypatch.undo()
    assert explain(refused.value) is None


def test_a_read_only_file_system_is_not_a_usage_error():
    assert explain(OSError(errno.EROFS, "Read-only file system", "/mnt/cratesort")) == Explanation(
        "/mnt/cratesort: Read-only file system", Exit.UNREACHABLE
    )


def test_an_sqlite_file_that_cannot_be_opened_may_need_a_writable_folder(tmp_path):
    """SQLite makes files beside it even to read it, and says no more than this."""
    with pytest.raises(sqlite3.OperationalError) as refused:
        sqlite3.connect(tmp_path / "no" / "folder.db")
    explanation = explain(OperationalError("", {}, refused.value))
    assert explanation.exit_code is Exit.UNREACHABLE
    assert "Make it writable (for an SQLite file its folder, too, even to" in explanation.advice


def test_a_postgresql_without_a_required_setting_is_reported_as_too_old():
    """It says so before a query could be asked for its version."""
    message = 'FATAL:  unrecognized configuration parameter "plan_cache_mode"'
    explanation = explain(OperationalError("", {}, psycopg.OperationalError(message)))
    assert explanation.exit_code is Exit.USAGE
    assert "cratesort needs PostgreSQL 12 or newer" in explanation.text


@pytest.mark.parametrize(
    ("name", "shown", "quoted"),
    [
        ("plain", "plain", "plain"),
        ('a"b', 'a"b', "'a\"b'"),
        ("a\nERROR: x", r"a\x0aERROR: x", r"'a\x0aERROR: x'"),
    ],
)
def test_a_missing_database_is_named_on_one_line(name, shown, quoted):
    refused = psycopg.OperationalError(f'FATAL:  database "{name}" does not exist')
    explanation = explain(OperationalError("", {}, refused))
    assert explanation.message == (
        f'the database "{shown}" does not exist on the server of CRATESORT_DATABASE_URL'
    )
    assert f"(`createdb --owner=USER {quoted}`)" in explanation.advice


def test_a_database_missing_at_two_addresses_is_named_once():
    refused = 'failed: FATAL:  database "x" does not exist'
    message = f"All failures were:\n- host: '::1': {refused}\n- host: '127.0.0.1': {refused}"
    explanation = explain(OperationalError("", {}, psycopg.OperationalError(message)))
    assert explanation.message.startswith('the database "x" does not exist')


@pytest.mark.parametrize("name", ["/a/x\nERROR forged", b"/a/x\nERROR forged"])
def test_a_full_disk_names_the_file_on_one_line(name):
    explanation = explain(OSError(errno.ENOSPC, "No space left on device", name))
    assert explanation.message.startswith(r"/a/x\x0aERROR forged could not be written completely")
    assert explanation.exit_code is Exit.UNREACHABLE


def test_during_an_outage_the_advice_points_at_doctor():
    refused = redis.exceptions.ConnectionError("Error 111 connecting to host:6379.")
    assert explain(refused).text == (
        "Redis cannot be reached: Error 111 connecting to host:6379.\n"
        "Check CRATESORT_BROKER_URL; `cratesort doctor` shows what is reachable."
    )


def test_a_command_rejected_by_redis_is_not_reported_as_unreachable():
    full = redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")
    explanation = explain(full)
    assert explanation.message.startswith("Redis rejects a command: command not allowed")
    assert explanation.exit_code is Exit.UNREACHABLE
