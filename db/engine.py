"""One database engine per process, and its transactions."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from db import dialects


class DatabaseUrlError(ValueError):
    """A database URL that is not one, or names a database that is not supported."""


def parse_url(url: str) -> URL:
    """Return a database URL with the driver this project uses.

    Parameters
    ----------
    url : str
        ``sqlite:///FILE`` or ``postgresql://USER:PASSWORD@HOST/NAME``.

    Raises
    ------
    DatabaseUrlError
        Names what was expected; never repeats the URL, which may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise DatabaseUrlError(
            "expected a database URL like sqlite:////home/me/cratesort.db or "
            "postgresql://user:password@host/name"
        ) from error
    name = parsed.drivername.partition("+")[0]
    if name in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if name == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise DatabaseUrlError(
                "an SQLite URL must name a file (sqlite:////home/me/cratesort.db): results in "
                "memory would be gone with the process"
            )
        return parsed.set(database=os.path.expanduser(parsed.database))
    raise DatabaseUrlError(f"expected sqlite or postgresql, got {name!r}")


def shown(url: str) -> str:
    """Return a database URL as it may be shown: without its password, and without its options.

    libpq takes a password among the options too.
    """
    return parse_url(url).set(query={}).render_as_string(hide_password=True)


def is_missing(url: str) -> bool:
    """Whether a URL names an SQLite file that is not there; to look must not be to make."""
    parsed = parse_url(url)
    return parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).exists()


def create_engine(url: str) -> Engine:
    """Return a new engine; nothing is connected yet.

    Made once a process and *after* a fork: two processes must not share a connection.

    Parameters
    ----------
    url : str
        As for `parse_url`. The folder of an SQLite file is created.

    Raises
    ------
    DatabaseUrlError
        As `parse_url`.
    """
    parsed = parse_url(url)
    dialect = parsed.get_backend_name()
    if dialect == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    try:
        engine = sqlalchemy.create_engine(
            parsed,
            connect_args=dialects.connect_args(dialect),
            # A connection that died while idle is replaced, not handed to a batch.
            pool_pre_ping=dialect == "postgresql",
            # Errors must not print the rows they were about, nor a URL.
            hide_parameters=True,
        )
    except NoSuchModuleError as error:  # pragma: no cover - both drivers are dependencies
        raise DatabaseUrlError(str(error)) from error
    dialects.prepare(engine)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that only reads; on SQLite it never waits for a writer."""
    with engine.connect() as connection:
        connection = connection.execution_options(readonly=True)
        with connection.begin():
            yield connection
