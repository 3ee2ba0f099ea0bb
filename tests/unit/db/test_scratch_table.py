"""Tables for what is too much for memory."""

import sqlite3

import pytest

from db.scratch_table import ScratchSpaceError, scratch_table


def test_more_rows_than_the_memory_limit_are_deduplicated():
    with scratch_table("name TEXT PRIMARY KEY", cache_kib=64) as table:

        def add(number):
            name = f"{number:0100}"
            return table.execute("INSERT OR IGNORE INTO scratch VALUES (?)", (name,)).rowcount

        assert sum(map(add, range(20_000))) == 20_000
        assert sum(map(add, range(20_000))) == 0


def test_a_full_disk_is_reported_with_advice():
    with (
        pytest.raises(ScratchSpaceError, match=r"disk is full.*TMPDIR"),
        scratch_table("key BLOB PRIMARY KEY", cache_kib=64),
    ):
        raise sqlite3.OperationalError("database or disk is full")
