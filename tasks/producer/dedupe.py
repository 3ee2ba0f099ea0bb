"""Which sounds an ingest has found already, in bounded memory."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from db.results.sounds import sound_key
from db.scratch_table import scratch_table

_CACHE_KIB: Final = 8 * 1024


class SeenSounds:
    """A set of sounds; from `seen_sounds`."""

    def __init__(self, table: sqlite3.Connection) -> None:
        self._table = table

    def add(self, root: str, path: str) -> bool:
        """Add a sound; return whether it is new."""
        key = sound_key(root, path)
        added = self._table.execute("INSERT OR IGNORE INTO scratch VALUES (?)", (key,))
        return added.rowcount > 0


@contextmanager
def seen_sounds() -> Iterator[SeenSounds]:
    """Make an empty set for the block.

    Raises
    ------
    db.scratch_table.ScratchSpaceError
        There is no room in a temporary file.
    """
    with scratch_table("key BLOB PRIMARY KEY", cache_kib=_CACHE_KIB) as table:
        yield SeenSounds(table)
