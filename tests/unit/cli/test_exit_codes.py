"""The line that a user reads about an error, and the exit code."""

import errno
import sqlite3

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from cli.console.exit_codes import Exit, explain


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.EIO, "Input/output error", "/a/list.txt"), "/a/list.txt: Input/output"),
        (OSError(errno.ETIMEDOUT, "Timed out", b"/a/\x1b.wav"), r"/a/\x1b.wav: Timed out"),
        (OSError(errno.ECONNRESET, "Reset"), "the storage of a file does not answer: Reset"),
        (OSError(errno.EIO, "Input/output error"), "the storage of a file does not answer: Input"),
        (TimeoutError("slow"), "the storage of a file does not answer: slow"),
    ],
)
def test_an_error_of_storage_is_no_error_of_redis(error, message):
    told, code = explain(error)
    assert told.startswith(message)
    assert code is Exit.UNREACHABLE


def test_a_read_only_file_system_is_no_wrong_usage():
    told, code = explain(OSError(errno.EROFS, "Read-only file system", "/mnt/cratesort"))
    assert (told, code) == ("/mnt/cratesort: Read-only file system", Exit.UNREACHABLE)


def test_an_sqlite_file_that_cannot_be_opened_may_want_a_folder_to_write_to(tmp_path):
    """SQLite makes files beside it even to read it, and says no more than this."""
    with pytest.raises(sqlite3.OperationalError) as refused:
        sqlite3.connect(tmp_path / "no" / "folder.db")
    told, code = explain(OperationalError("", {}, refused.value))
    assert code is Exit.UNREACHABLE
    assert "Make it writable (of an SQLite file the folder too, even to read it)," in told


def test_a_postgresql_that_lacks_a_setting_of_ours_is_too_old():
    """It says so before a query could be asked for its version."""
    said = 'FATAL:  unrecognized configuration parameter "plan_cache_mode"'
    told, code = explain(OperationalError("", {}, psycopg.OperationalError(said)))
    assert code is Exit.USAGE
    assert "cratesort needs PostgreSQL 12 or newer" in told
