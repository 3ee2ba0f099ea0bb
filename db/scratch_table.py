"""Temporary tables for what is too much for memory: millions of rows at a bounded cost.

They are SQLite's own, in a file without a name, and have nothing to do with the database.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from classifier.errors import CratesortError


class ScratchSpaceError(CratesortError):
    """There is no room for a temporary table."""


@contextmanager
def scratch_table(columns: str, *, cache_kib: int) -> Iterator[sqlite3.Connection]:
    """Make a table called ``scratch``; it is gone with the block, or with the process.

    - `columns`: as in CREATE TABLE; one is the primary key.
    - `cache_kib`: what SQLite may keep in memory; the rest is in its file.

    Raises ScratchSpaceError: the file system of temporary files is full.
    """
    connection = sqlite3.connect("", isolation_level=None)  # SQLite's name for a nameless file
    try:
        connection.execute(f"PRAGMA cache_size = -{cache_kib}")
        connection.execute("PRAGMA journal_mode = OFF")  # nothing is ever rolled back
        connection.execute("BEGIN")
        connection.execute(f"CREATE TABLE scratch ({columns}) WITHOUT ROWID")
        yield connection
    except sqlite3.Error as error:  # the database's own come as SQLAlchemy's
        raise ScratchSpaceError(
            f"no room for a temporary table ({error}); TMPDIR may name a folder that has some"
        ) from error
    finally:
        connection.close()
