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

from classifier.errors import CratesortError
from db.errors import is_away

#: Storage and the machine, not the file: a network mount that went away, memory, descriptors.
TRANSIENT_ERRNOS: Final = frozenset(
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


class LibraryRootAwayError(CratesortError):
    """A library root cannot be opened: its mount is away, or this host has the wrong folder."""


class BatchReturnedError(CratesortError):
    """A batch went back to the ledger because the world was in the way; its message says how."""


def backoff_seconds(transient_failures: int) -> float:
    """Return how long a batch waits after this many earlier transient failures in a row."""
    return float(min(5 * 2 ** min(transient_failures, 10), 300))


def is_worlds(error: BaseException) -> bool:
    """Whether `error` is the world's fault, to be tried again without blame."""
    if is_away(error) or isinstance(error, (*BROKER_AWAY, LibraryRootAwayError)):
        return True
    return isinstance(error, OSError) and error.errno in TRANSIENT_ERRNOS
