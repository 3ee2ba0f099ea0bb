"""The three fates of a fault, in one place.

The *sound's* own fault is a row (`classifier.errors.SoundError`, handled where headers are read).
The *world's* (database, broker, storage away) is from the closed list below: the batch goes back
without blame and is tried again when some time has passed, longer each time. Everything else is
*ours*: it propagates, loud, and the batch goes back with an attempt counted.
"""

import errno
from typing import Final

import kombu.exceptions
import redis.exceptions
import sqlalchemy.exc

from classifier.errors import CratesortError

#: Storage and the machine, not the file: a network mount that went away, memory, descriptors.
WORLD_ERRNOS: Final = frozenset(
    {
        errno.EIO,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENOTCONN,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.EAGAIN,
    }
)

#: Redis or the way to it.
BROKER_AWAY: Final = (
    kombu.exceptions.OperationalError,
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    redis.exceptions.BusyLoadingError,
    # Redis answers, and refuses: it is full, a replica, its disk is gone, this user may not.
    redis.exceptions.ResponseError,
    ConnectionError,
    TimeoutError,
)

#: The database or the way to it; a lock or a statement that timed out is an OperationalError too.
DATABASE_AWAY: Final = (
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.TimeoutError,
)


class LibraryRootAwayError(CratesortError):
    """A library root cannot be opened: its mount is away, or this host has the wrong folder."""


class HandedBackError(CratesortError):
    """A batch went back to the ledger because the world was in the way; its message says how."""


def backoff_seconds(setbacks: int) -> float:
    """Return how long a batch waits after the world was in its way `setbacks` times before."""
    return float(min(5 * 2 ** min(setbacks, 10), 300))


def is_worlds(error: BaseException) -> bool:
    """Whether `error` is the world's fault, to be tried again without blame."""
    if isinstance(error, (*DATABASE_AWAY, *BROKER_AWAY, LibraryRootAwayError)):
        return True
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        read_only = getattr(error.orig, "sqlstate", None) == "25006"  # a standby, or being moved
        return bool(error.connection_invalidated) or read_only
    return isinstance(error, OSError) and error.errno in WORLD_ERRNOS


def plain(error: BaseException) -> str:
    """Return one line for a person, without statements, parameters or passwords."""
    if isinstance(error, sqlalchemy.exc.DBAPIError) and error.orig is not None:
        error = error.orig
    # What PostgreSQL said; psycopg's own text goes on with a piece of the statement.
    said = getattr(getattr(error, "diag", None), "message_primary", None)
    return " ".join((said or str(error)).split()) or type(error).__name__
