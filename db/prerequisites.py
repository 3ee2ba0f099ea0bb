"""Requirements on a database: its version, its encoding and its number of connections."""

import os
import sqlite3
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine, text

from classifier.errors import CratesortError
from db.engine import reading

#: The first PostgreSQL with `plan_cache_mode`, which every connection sets.
OLDEST_POSTGRES: Final = 12
#: The first SQLite with RETURNING.
OLDEST_SQLITE: Final = (3, 35, 0)

# -1 means no limit for a role or a database; least() ignores NULL.
_POSTGRES_FACTS: Final = """
SELECT current_setting('server_version') AS version,
       current_setting('server_version_num')::int / 10000 AS major,
       current_setting('server_encoding') AS encoding,
       current_setting('transaction_read_only') = 'on' AS read_only,
       least(
           current_setting('max_connections')::int
               - current_setting('superuser_reserved_connections')::int,
           nullif(datconnlimit, -1),
           nullif(rolconnlimit, -1)
       ) AS connections
FROM pg_database, pg_roles
WHERE datname = current_database() AND rolname = session_user
"""


class UnsuitableDatabaseError(CratesortError):
    """A database that cannot hold what cratesort writes, or not for so many processes."""


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """Version and settings of a database.

    - `is_current`: whether its version is at least `oldest`, the oldest supported one.
    - `read_only`: whether it refuses writes: a standby, a read-only setting, or file permissions.
    - `connections`: the most that this user may open; None without a limit.
    """

    software: str
    is_current: bool
    oldest: str
    encoding: str
    read_only: bool
    connections: int | None


def facts_of(engine: Engine) -> DatabaseFacts:
    """Return version and settings of a database, read with one query."""
    if engine.dialect.name == "sqlite":
        with reading(engine) as connection:
            encoding = connection.execute(text("PRAGMA encoding")).scalar_one()
        file = os.path.abspath(str(engine.url.database))
        return DatabaseFacts(
            software=f"SQLite {sqlite3.sqlite_version}",
            is_current=sqlite3.sqlite_version_info >= OLDEST_SQLITE,
            oldest=".".join(map(str, OLDEST_SQLITE)),
            encoding=str(encoding).replace("-", ""),
            read_only=not all(map(_may_be_written, (file, os.path.dirname(file)))),
            connections=None,
        )
    with reading(engine) as connection:
        row = connection.execute(text(_POSTGRES_FACTS)).one()
    return DatabaseFacts(
        software=f"PostgreSQL {row.version}",
        is_current=row.major >= OLDEST_POSTGRES,
        oldest=str(OLDEST_POSTGRES),
        encoding=row.encoding,
        read_only=row.read_only,
        connections=row.connections,
    )


def _may_be_written(path: str) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def require_suitable(engine: Engine) -> None:
    """Raise UnsuitableDatabaseError unless the database can hold what cratesort writes."""
    facts = facts_of(engine)
    if not facts.is_current:
        raise UnsuitableDatabaseError(
            f"the database is {facts.software}; cratesort needs {facts.oldest} or newer"
        )
    if facts.encoding != "UTF8":
        raise UnsuitableDatabaseError(
            f"the database's encoding is {facts.encoding}; expected UTF8. Create another one "
            "(CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0) and run "
            "`cratesort db upgrade`"
        )


def require_connections(engine: Engine, needed: int, by: str) -> None:
    """Raise UnsuitableDatabaseError unless this user may open `needed` connections.

    - `by`: what needs them, for the message.
    """
    available = facts_of(engine).connections
    if available is not None and available < needed:
        raise UnsuitableDatabaseError(
            f"{by} needs {needed} connections to the database, which allows {available}; raise "
            "max_connections (or the limit of the role or the database), or lower --concurrency"
        )
