"""Error classification: what kind of fault an error is. Every decision about errors starts here."""

import errno
from enum import Enum
from typing import Final

import kombu.exceptions
import redis.exceptions

from classifier.errors import CratesortError, SoundError
from db.errors import is_unreachable, refuses_user
from workers.errors import LibraryRootAwayError

#: Errors of the machine, not of a file: it is out of file descriptors, memory or disk space.
MACHINE_ERRNOS: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EAGAIN}
)

#: Errors of storage, for a file or a whole mount. By name: not every system has all of them.
STORAGE_ERRNOS: Final = frozenset(
    number
    for number, name in errno.errorcode.items()
    if name
    in {
        "EIO",
        "EREMOTEIO",
        "ESTALE",
        "ENODEV",
        "ENOLCK",
        "ENOMEDIUM",
        "ETIMEDOUT",
        "ECONNABORTED",
        "ECONNREFUSED",
        "ECONNRESET",
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "ENETDOWN",
        "ENETUNREACH",
        "ENOTCONN",
        "EPIPE",
        "ESHUTDOWN",
    }
)

#: Errors of Redis, or of the network to it.
BROKER_AWAY: Final = (
    kombu.exceptions.OperationalError,
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    redis.exceptions.BusyLoadingError,
    # Redis answers with an error: it is full, a replica, has lost its disk, or denies permission.
    redis.exceptions.ResponseError,
    # Not Python's own ConnectionError and TimeoutError: network file systems raise those, too.
)


class Fault(Enum):
    """What caused an error; this decides what happens next."""

    #: The file. Recorded as an error row where headers are read.
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
        if is_unreachable(error) or isinstance(error, (*BROKER_AWAY, LibraryRootAwayError)):
            return cls.TRANSIENT
        if isinstance(error, ConnectionError | TimeoutError):  # also without a number
            return cls.TRANSIENT
        if isinstance(error, OSError) and error.errno in MACHINE_ERRNOS | STORAGE_ERRNOS:
            return cls.TRANSIENT
        if isinstance(error, SoundError):
            return cls.FILE
        is_configuration = isinstance(error, CratesortError) or refuses_user(error)
        return cls.OPERATOR if is_configuration else cls.BUG
