"""Open the settings and the database for a command."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from db.engine import Patience
    from workers.settings import Settings

#: Messages about sounds of a single machine, with absolute paths, in the database of a fleet.
NOT_READ: Final = "which are not read where a broker or library roots are set"
ROOT_ADVICE: Final = (
    "copy them into a new database, as paths of a library root: cratesort db copy FROM TO "
    "--root NAME=/their/folder"
)


@contextmanager
def opened_database(
    settings: "Settings | None" = None, patience: "Patience | None" = None
) -> "Iterator[tuple[Settings, Engine]]":
    """Give the settings and their database for the block, after checking its tables.

    - `settings`: by default read from the environment.
    - `patience`: by default `db.engine.COMMAND`.

    A SQLite database without tables gets them.

    Raises db.migrate.SchemaError: the tables are of another version, or missing on PostgreSQL.
    """
    from db.engine import COMMAND, create_engine
    from db.migrate import require_current
    from workers.settings import load_settings

    settings = settings or load_settings()
    database = create_engine(settings.database, patience or COMMAND)
    try:
        require_current(database)
        yield settings, database
    finally:
        # SQLite removes its -wal and -shm files when the last connection closes.
        database.dispose()
