"""How a command reaches its settings and its database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from db.engine import Patience
    from workers.settings import Settings

#: Of the sounds of one machine in the database of a fleet.
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

    Settings are read from the environment when not given, and `patience` is a command's. SQLite's
    tables are created where there are none; other tables of another version raise
    `db.migrate.SchemaError`.
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
        # SQLite removes the files beside the database with its last connection.
        database.dispose()
