"""Which sounds an ingest has found already, outside of memory.

Their keys go into a table of SQLite's own in a temporary file: as many as there are, a list of
millions does not fill the memory.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from classifier.errors import CratesortError
from db.results.sounds import sound_key

#: What SQLite may keep of the keys in memory; the rest is in its file.
_CACHE_KIB: Final = 8 * 1024


class TemporaryFileError(CratesortError):
    """No room for what was found."""


class SeenSounds:
    """A set of sounds that only grows; from `seen_sounds`.

    Parameters
    ----------
    table : sqlite3.Connection
    """

    def __init__(self, table: sqlite3.Connection) -> None:
        self._table = table
        table.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        table.execute("PRAGMA journal_mode = OFF")  # nothing of it is ever taken back
        table.execute("BEGIN")
        table.execute("CREATE TABLE seen (key BLOB PRIMARY KEY) WITHOUT ROWID")

    def add(self, root: str, path: str) -> bool:
        """Take a sound in; return whether it is new.

        Raises
        ------
        TemporaryFileError
            There is no room.
        """
        try:
            added = self._table.execute(
                "INSERT OR IGNORE INTO seen VALUES (?)", (sound_key(root, path),)
            )
        except sqlite3.Error as error:
            raise TemporaryFileError(
                f"the list of what was found has no room in a temporary file ({error}); TMPDIR "
                "may name a folder that has some"
            ) from error
        return added.rowcount > 0


@contextmanager
def seen_sounds() -> Iterator[SeenSounds]:
    """Make an empty set; it is gone with the block, or with the process."""
    table = sqlite3.connect("", isolation_level=None)  # SQLite's name for a file without one
    try:
        yield SeenSounds(table)
    finally:
        table.close()
