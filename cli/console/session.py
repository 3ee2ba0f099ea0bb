"""Open the settings and the database for a command."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from classifier.errors import CratesortError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from db.engine import Timeouts
    from workers.settings import Settings

#: Messages about sounds of a single machine, with absolute paths, in the database of a fleet.
NOT_READ: Final = "and such paths are not read where a broker or library roots are set"
ROOT_ADVICE: Final = (
    "copy them into a new database, as paths of a library root: cratesort db copy FROM TO "
    "--root NAME=/their/folder"
)


class MissingDatabaseError(CratesortError):
    """There is no database, and the command only reads one."""


@contextmanager
def opened_database(
    settings: "Settings | None" = None,
    timeouts: "Timeouts | None" = None,
    *,
    must_exist: bool = False,
    or_empty: bool = False,
) -> "Iterator[tuple[Settings, Engine]]":
    """Give the settings and their database for the block, after checking its tables.

    - `settings`: by default read from the environment.
    - `timeouts`: by default `db.engine.COMMAND`.
    - `must_exist`: for commands that only read; a mistyped path must not become an empty database.
    - `or_empty`: for commands that also work without a database, with the starter model: instead of
      a missing SQLite file, give an empty database in memory.

    A SQLite database without tables gets them.

    Raises MissingDatabaseError: there is no such SQLite file, and it must exist.
    Raises db.migrate.SchemaError: the tables are of another version, or missing on PostgreSQL.
    """
    from db.engine import COMMAND, create_empty_engine, create_engine, is_missing
    from db.migrate import require_current
    from workers.settings import load_settings

    settings = settings or load_settings()
    if must_exist:
        require_database(settings)
    if or_empty and is_missing(settings.database):
        database = create_empty_engine()
    else:
        database = create_engine(settings.database, timeouts or COMMAND)
    try:
        require_current(database)
        yield settings, database
    finally:
        # SQLite removes its -wal and -shm files when the last connection closes.
        database.dispose()


def require_database(settings: "Settings") -> None:
    """Raise MissingDatabaseError if the settings name an SQLite file that does not exist."""
    from db.engine import is_missing, shown

    if is_missing(settings.database):
        setting = "DATA_FOLDER" if settings.database_url is None else "DATABASE_URL"
        raise MissingDatabaseError(
            f"there is no database at {shown(settings.database)}; the first `cratesort ingest` "
            f"creates it. If you have one elsewhere, set CRATESORT_{setting} to it"
        )
