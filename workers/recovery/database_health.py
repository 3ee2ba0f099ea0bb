"""When the database last answered, in memory that a worker's parent shares with its supervisor.

Eight bytes: seconds of the machine's monotonic clock. The supervisor writes them; the parent takes
no messages while they are old. Neither waits for the other, so neither can hang the other.
"""

import math
import mmap
import os
import struct
import tempfile
import time
from typing import Final

_LAYOUT: Final = struct.Struct("<d")
#: A database that has not answered for this long is away: a busy one answers sooner.
_TIMEOUT_SECONDS: Final = 5.0
#: Longer than a supervisor takes to load, even on a machine that starts many of them.
_START_SECONDS: Final = 60.0


class DatabaseHealth:
    """The time of the last answer, behind an inherited descriptor `fd`."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._memory = mmap.mmap(fd, _LAYOUT.size)

    @classmethod
    def create(cls) -> "DatabaseHealth":
        """Return a new one, for the parent, that counts as an answer for now."""
        # Not memfd_create, which macOS lacks, nor an anonymous mapping, which has no descriptor.
        with tempfile.TemporaryFile() as file:
            os.pwrite(file.fileno(), bytes(_LAYOUT.size), 0)
            health = cls(os.dup(file.fileno()))
        health.expect_supervisor()
        return health

    def expect_supervisor(self) -> None:
        """Count as an answer until a supervisor that is being started reports for the first time.

        The database answered just before: a worker checks it. That the supervisor takes seconds to
        load is no news of the database.
        """
        _LAYOUT.pack_into(self._memory, 0, time.monotonic() + _START_SECONDS)

    def report_up(self) -> None:
        """Record that the database has just answered."""
        _LAYOUT.pack_into(self._memory, 0, time.monotonic())

    def report_down(self) -> None:
        """Record that the database is known to be away."""
        _LAYOUT.pack_into(self._memory, 0, -math.inf)

    @property
    def is_up(self) -> bool:
        """Whether the database answered recently."""
        (answered,) = _LAYOUT.unpack_from(self._memory)
        return bool(time.monotonic() - answered < _TIMEOUT_SECONDS)
