"""Error classification: what kind of fault an error is. Every decision about errors starts here."""

import errno
from enum import Enum
from typing import Final

import kombu.exceptions
import redis.exceptions

from classifier.errors import CratesortError, SoundError
from db.errors import is_away
from workers.errors import LibraryRootAwayError

#: Errors of storage and of the machine, not of a file: a mount that went away, memory, descriptors.
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
    # Redis answers and refuses: it is full, a replica, its disk is gone, this user may not.
    redis.exceptions.ResponseError,
    ConnectionError,
    TimeoutError,
)


class Fault(Enum):
    """What is at fault, and so what happens next."""

    #: The file. Recorded as a typed row where headers are read.
    FILE = "file"
    #: Database, Redis or storage. Tried again after a back-off, with no attempt counted.
    TRANSIENT = "transient"
    #: This host's configuration. The message names what to change; no attempt is counted.
    OPERATOR = "operator"
    #: This program. Logged with its traceback, and an attempt is counted.
    BUG = "bug"

    @classmethod
    def of(cls, error: BaseException) -> "Fault":
        """Classify an error."""
        if is_away(error) or isinstance(error, (*BROKER_AWAY, LibraryRootAwayError)):
            return cls.TRANSIENT
        if isinstance(error, OSError) and error.errno in TRANSIENT_ERRNOS:
            return cls.TRANSIENT
        if isinstance(error, SoundError):
            return cls.FILE
        return cls.OPERATOR if isinstance(error, CratesortError) else cls.BUG
