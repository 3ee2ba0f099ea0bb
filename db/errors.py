"""Classification of database errors, and their one-line messages for users."""

import errno
import re
import sqlite3
from typing import Final

import sqlalchemy.exc

#: Errors of an unreachable database; a lock or a statement that timed out is an OperationalError.
DATABASE_AWAY: Final = (
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.TimeoutError,
)

_REFUSED: Final = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|pg_hba\.conf rejects"
    r'|(role|database) "(?s:.*)" does not exist|not permitted to log in'
    r"|permission denied for database"
)

_NO_DATABASE: Final = re.compile(r'database "(.*?)" does not exist', re.DOTALL)

#: SQLITE_IOERR_SHMSIZE: there is no room for the shared-memory file beside the database.
_SQLITE_FULL: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)


def is_unreachable(error: BaseException) -> bool:
    """Whether the database is unreachable or read-only, so that a later retry may succeed."""
    if isinstance(error, DATABASE_AWAY):
        return True
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        return bool(error.connection_invalidated) or is_read_only(error)
    return False


def is_read_only(error: BaseException) -> bool:
    """Whether the database is read-only for now: a standby, or one that is being moved."""
    cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        # The lowest byte is the primary result code; the others refine it.
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY
    return getattr(cause, "sqlstate", None) == "25006"


def needs_writable(error: BaseException) -> bool:
    """Whether the database is read-only for now, or SQLite cannot create its files beside it."""
    cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
    code: int = getattr(cause, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_CANTOPEN or is_read_only(error)


def is_disk_full(error: BaseException) -> bool:
    """Whether a disk is full or over its quota: the database's, or any other."""
    cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
    if isinstance(cause, OSError):
        return cause.errno in (errno.ENOSPC, errno.EDQUOT)
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", None) in _SQLITE_FULL
    return getattr(cause, "sqlstate", None) == "53100"  # PostgreSQL's disk_full


def refuses_user(error: BaseException) -> bool:
    """Whether PostgreSQL rejects the user, password, database name or a permission: no outage."""
    if not isinstance(error, sqlalchemy.exc.DBAPIError):
        return False
    if getattr(error.orig, "sqlstate", None) in ("28000", "28P01", "3D000", "42501"):
        return True
    # For errors while connecting, libpq passes on the message without the SQLSTATE.
    return _REFUSED.search(str(error.orig)) is not None


def lacks_permission(error: BaseException) -> bool:
    """Whether PostgreSQL accepts the user, but denies it a table or another object."""
    return (
        isinstance(error, sqlalchemy.exc.DBAPIError)
        and getattr(error.orig, "sqlstate", None) == "42501"
    )


def missing_database(error: BaseException) -> str | None:
    """Return the name of the database that the PostgreSQL server does not have, if it is that."""
    if not isinstance(error, sqlalchemy.exc.DBAPIError):
        return None
    match = _NO_DATABASE.search(str(error.orig))
    return None if match is None else match[1]


def is_too_old(error: BaseException) -> bool:
    """Whether PostgreSQL is too old: it rejects a setting that every connection sets."""
    return isinstance(error, sqlalchemy.exc.OperationalError) and (
        "unrecognized configuration parameter" in str(error.orig)
    )


def plain(error: BaseException) -> str:
    """Return one line for a user, without statements, parameters or passwords."""
    if isinstance(error, sqlalchemy.exc.DBAPIError) and error.orig is not None:
        error = error.orig
    # PostgreSQL's own message; psycopg's text also contains a part of the statement.
    message = getattr(getattr(error, "diag", None), "message_primary", None)
    # redis-py describes a sentinel by all parameters of its client.
    text = re.sub(r"<redis\..*> - ", "", message or _text(error))
    return " ".join(text.split()) or type(error).__name__


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # an error that cannot be printed must still be reported
        return ""
