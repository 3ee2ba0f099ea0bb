"""Bringing a database to this version's tables.

SQLite is created on first use (one person, one file); PostgreSQL is migrated on purpose, by
``cratesort db upgrade``, because several hosts share it and one of them should decide when.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import Engine, inspect, select, text

from classifier.errors import CratesortError
from db.dialects import unlimited
from db.engine import create_engine, reading
from db.prerequisites import require_suitable
from db.tables import compatibility

#: The newest script in `db.migrations.versions`; a test holds the two together. Written here so
#: that a command on an up-to-date database does not load Alembic.
HEAD: Final = "0011"

#: Serialises two upgrades at once on PostgreSQL; the number is arbitrary and only ours.
_ADVISORY_LOCK: Final = 0x637261746573


class SchemaError(CratesortError):
    """The database's tables are not those of this version of cratesort."""


def current(engine: Engine) -> str | None:
    """Return the revision of a database, None when it has no tables of ours."""
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(
            text("SELECT version_num FROM alembic_version")
        ).scalar_one_or_none()


def _suits(engine: Engine, revision: str | None) -> bool:
    """Whether a database that is newer than this code may be used by it all the same.

    During an upgrade of a fleet the tables change first and the workers one after the other; one
    that starts anew meanwhile must find work.
    """
    if revision is None or revision <= HEAD:
        return revision == HEAD
    with reading(engine) as connection:
        if not inspect(connection).has_table(compatibility.name):
            return False
        oldest = connection.execute(select(compatibility.c.oldest_revision)).scalar_one_or_none()
    return oldest is not None and oldest <= HEAD


def upgrade(url: str) -> str | None:
    """Bring the database at `url` to `HEAD`; one that is newer and suits stays as it is.

    - `url`: as for `db.engine.create_engine`.

    Returns the revision it had before.

    Raises SchemaError: the database is newer than this version of cratesort, and does not suit it.
    Raises UnsuitableDatabaseError: it cannot hold what cratesort writes.
    Raises sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    engine = create_engine(url)
    try:
        return upgrade_engine(engine)
    finally:
        engine.dispose()


def upgrade_engine(engine: Engine) -> str | None:
    """Bring an engine's database to `HEAD`; as `upgrade`."""
    require_suitable(engine)
    before = current(engine)
    if _suits(engine, before):
        return before

    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    # ConfigParser would read a % in the folder's name as its own syntax.
    folder = str(Path(__file__).parent / "migrations").replace("%", "%%")
    config.set_main_option("script_location", folder)
    with engine.connect() as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
            # An index of a large table takes longer than any other statement of ours may.
            unlimited(connection)
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, HEAD)
        except CommandError as error:
            raise SchemaError(_newer(before)) from error
    return before


def require_current(engine: Engine) -> None:
    """Check that the tables are this version's, or newer and fit for it; create them on SQLite.

    Raises SchemaError, which names the one command that helps, and UnsuitableDatabaseError as
    `upgrade` does.
    """
    require_suitable(engine)
    before = current(engine)
    if _suits(engine, before):
        return
    if engine.dialect.name == "sqlite":
        upgrade_engine(engine)
        return
    if before is None:
        raise SchemaError("the database has no tables yet: run `cratesort db upgrade` once")
    if before < HEAD:
        raise SchemaError(
            f"the database is at revision {before}, this version needs {HEAD}: "
            "run `cratesort db upgrade`"
        )
    raise SchemaError(_newer(before))


def _newer(revision: str | None) -> str:
    return (
        f"the database is at revision {revision}, which this version of cratesort "
        f"(revision {HEAD}) cannot work with: install the newer cratesort here too"
    )
