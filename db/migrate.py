"""Create and migrate a database's tables.

SQLite databases are created and migrated on use: there is one user and one file. PostgreSQL is
shared by several hosts, so the operator decides when to run ``cratesort db upgrade``.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import Engine, inspect, select, text

from classifier.errors import CratesortError
from db.dialects import unlimited
from db.engine import create_engine, reading
from db.prerequisites import require_suitable
from db.tables import compatibility

#: The newest script in `db.migrations.versions`; a test checks that. Repeated here so that commands
#: on an up-to-date database need not load Alembic.
HEAD: Final = "0011"

#: Lock that serialises concurrent upgrades on PostgreSQL. The number is arbitrary.
_ADVISORY_LOCK: Final = 0x637261746573


class SchemaError(CratesortError):
    """The database's tables are not those of this version of cratesort."""


def current(engine: Engine) -> str | None:
    """Return the revision of a database, None when it has no tables of cratesort."""
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(
            text("SELECT version_num FROM alembic_version")
        ).scalar_one_or_none()


def _suits(engine: Engine, revision: str | None) -> bool:
    """Whether this code can use a database of `revision`: `HEAD`, or a newer compatible one.

    During an upgrade of a fleet the tables change first. Workers of the old version must still be
    able to start until they are upgraded, too.
    """
    if revision is None or revision <= HEAD:
        return revision == HEAD
    with reading(engine) as connection:
        if not inspect(connection).has_table(compatibility.name):
            return False
        oldest = connection.execute(select(compatibility.c.oldest_revision)).scalar_one_or_none()
    return oldest is not None and oldest <= HEAD


def upgrade(url: str) -> str | None:
    """Migrate the database at `url` to `HEAD`; a newer compatible one is not changed.

    - `url`: as for `db.engine.create_engine`.

    Returns the revision it had before.

    Raises SchemaError: the database is newer than this version of cratesort, and incompatible.
    Raises UnsuitableDatabaseError: it cannot hold what cratesort writes.
    Raises sqlalchemy.exc.OperationalError: the database cannot be reached.
    """
    engine = create_engine(url)
    try:
        return upgrade_engine(engine)
    finally:
        engine.dispose()


def upgrade_engine(engine: Engine) -> str | None:
    """Migrate an engine's database to `HEAD`; returns and raises the same as `upgrade`."""
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
            # Creating an index of a large table may take longer than the limit for statements.
            unlimited(connection)
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, HEAD)
        except CommandError as error:
            raise SchemaError(_newer(before)) from error
    return before


def require_current(engine: Engine) -> None:
    """Check that this code can use the tables; on SQLite, create or migrate them first.

    Raises SchemaError, which names the command to run, and UnsuitableDatabaseError as `upgrade`
    does.
    """
    require_suitable(engine)
    before = current(engine)
    if _suits(engine, before):
        return
    if engine.dialect.name == "sqlite":
        upgrade_engine(engine)
        return
    if before is None:
        raise SchemaError("the database has no tables yet; run `cratesort db upgrade` once")
    if before < HEAD:
        raise SchemaError(
            f"the database is at revision {before}; this version needs {HEAD}. "
            "Run `cratesort db upgrade`"
        )
    raise SchemaError(_newer(before))


def _newer(revision: str | None) -> str:
    return (
        f"the database is at revision {revision}, which this version of cratesort "
        f"(revision {HEAD}) cannot use; install the newer version here, too"
    )
