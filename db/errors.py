"""What a database's errors mean: whether it is away, and what to tell a person."""

import errno
import re
import sqlite3
from typing import Final

import sqlalchemy.exc

#: The database or the way to it; a lock or a statement that timed out is an OperationalError too.
DATABASE_AWAY: Final = (
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.TimeoutError,
)

_REFUSED: Final = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|pg_hba\.conf rejects"
    r'|(role|database) ".*" does not exist|not permitted to log in|permission denied for database'
)

#: The second when there is no room for the file of shared memory beside the database.
_SQLITE_FULL: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)


def is_away(error: BaseException) -> bool:
    """Whether the database does not answer, or answers that it may not be written now."""
    if isinstance(error, DATABASE_AWAY):
        return True
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        return bool(error.connection_invalidated) or is_read_only(error)
    return False


def is_read_only(error: BaseException) -> bool:
    """Whether the database may not be written now: a standby, or one that is being moved."""
    cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        # The lowest byte: the rest says why.
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY
    return getattr(cause, "sqlstate", None) == "25006"


def needs_writable(error: BaseException) -> bool:
    """Whether the database may not be written now, or SQLite cannot make its files beside it."""
    cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
    code: int = getattr(cause, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_CANTOPEN or is_read_only(error)


def is_disk_full(error: BaseException) -> bool:
    """Whether a disk has no room: the database's, or any other."""
    cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
    if isinstance(cause, OSError):
        return cause.errno in (errno.ENOSPC, errno.EDQUOT)
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", None) in _SQLITE_FULL
    return getattr(cause, "sqlstate", None) == "53100"  # said by PostgreSQL


def refuses_user(error: BaseException) -> bool:
    """Whether PostgreSQL refuses user, password, name of the database or a right: no outage."""
    if not isinstance(error, sqlalchemy.exc.DBAPIError):
        return False
    if getattr(error.orig, "sqlstate", None) in ("28000", "28P01", "3D000", "42501"):
        return True
    # When it connects, libpq passes on the sentence and not the code.
    return _REFUSED.search(str(error.orig)) is not None


def is_too_old(error: BaseException) -> bool:
    """Whether PostgreSQL does not know a setting that every connection of ours sets."""
    return isinstance(error, sqlalchemy.exc.OperationalError) and (
        "unrecognized configuration parameter" in str(error.orig)
    )


def plain(error: BaseException) -> str:
    """Return one line for a person, without statements, parameters or passwords."""
    if isinstance(error, sqlalchemy.exc.DBAPIError) and error.orig is not None:
        error = error.orig
    # What PostgreSQL said; psycopg's own text goes on with a piece of the statement.
    said = getattr(getattr(error, "diag", None), "message_primary", None)
    # redis-py names a sentinel by all parameters of its client.
    text = re.sub(r"<redis\..*> - ", "", said or _text(error))
    return " ".join(text.split()) or type(error).__name__


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # an error whose own text is a bug must not hide that it came
        return ""
