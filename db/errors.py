"""What a database's errors mean: whether it is away, and what to tell a person."""

import re
from typing import Final

import sqlalchemy.exc

#: The database or the way to it; a lock or a statement that timed out is an OperationalError too.
DATABASE_AWAY: Final = (
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.TimeoutError,
)


def is_away(error: BaseException) -> bool:
    """Whether the database does not answer, or answers that it may not be written now."""
    if isinstance(error, DATABASE_AWAY):
        return True
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        read_only = getattr(error.orig, "sqlstate", None) == "25006"  # a standby, or being moved
        return bool(error.connection_invalidated) or read_only
    return False


def plain(error: BaseException) -> str:
    """Return one line for a person, without statements, parameters or passwords."""
    if isinstance(error, sqlalchemy.exc.DBAPIError) and error.orig is not None:
        error = error.orig
    # What PostgreSQL said; psycopg's own text goes on with a piece of the statement.
    said = getattr(getattr(error, "diag", None), "message_primary", None)
    # redis-py names a sentinel by all parameters of its client.
    text = re.sub(r"<redis\..*> - ", "", said or str(error))
    return " ".join(text.split()) or type(error).__name__
