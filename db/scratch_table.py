"""Temporary tables for millions of rows, with bounded memory.

Each is an SQLite table in an unnamed temporary file, separate from the product's database.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from classifier.errors import CratesortError


class ScratchSpaceError(CratesortError):
    """There is no room for a temporary table."""


@contextmanager
def scratch_table(columns: str, *, cache_kib: int) -> Iterator[sqlite3.Connection]:
    """Create a table called ``scratch``; it is removed when the block or the process ends.

    - `columns`: as in CREATE TABLE; one is the primary key.
    - `cache_kib`: how much SQLite may keep in memory; the rest is in its file.

    Raises ScratchSpaceError: the file system of temporary files is full.
    """
    connection = sqlite3.connect("", isolation_level=None)  # "": an unnamed temporary file
    try:
        connection.execute(f"PRAGMA cache_size = -{cache_kib}")
        connection.execute("PRAGMA journal_mode = OFF")  # nothing is ever rolled back
        connection.execute("BEGIN")
        connection.execute(f"CREATE TABLE scratch ({columns}) WITHOUT ROWID")
        yield connection
    except sqlite3.Error as error:  # only scratch's: the database's errors are SQLAlchemy's
        raise ScratchSpaceError(
            f"no space for a temporary table ({error}); set TMPDIR to a folder with free space"
        ) from error
    finally:
        connection.close()
