"""When the database last answered, in memory that a worker's parent shares with its supervisor.

Eight bytes: seconds of the machine's monotonic clock. The supervisor writes them; the parent takes
no messages while they are old. Neither waits for the other, so neither can hang the other.
"""

import math
import mmap
import os
import struct
import time
from typing import Final

_LAYOUT: Final = struct.Struct("<d")
#: A database that has not answered for this long is away: one that is busy answers sooner.
_SILENCE_SECONDS: Final = 5.0


class DatabaseHealth:
    """The moment of the last answer.

    Parameters
    ----------
    fd : int
        Of the shared memory, inherited from the parent.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._memory = mmap.mmap(fd, _LAYOUT.size)

    @classmethod
    def create(cls) -> "DatabaseHealth":
        """Return a new one, for the parent; as good as an answer just now."""
        # Not memfd_create: macOS has none, and an anonymous mapping has no descriptor to hand on.
        import tempfile

        with tempfile.TemporaryFile() as file:
            os.pwrite(file.fileno(), bytes(_LAYOUT.size), 0)
            health = cls(os.dup(file.fileno()))
        health.report_up()
        return health

    def report_up(self) -> None:
        """Note that the database has just answered."""
        _LAYOUT.pack_into(self._memory, 0, time.monotonic())

    def report_down(self) -> None:
        """Note that the database is known to be away."""
        _LAYOUT.pack_into(self._memory, 0, -math.inf)

    @property
    def is_up(self) -> bool:
        """Whether the database is there, as far as one knows."""
        (answered,) = _LAYOUT.unpack_from(self._memory)
        return bool(time.monotonic() - answered < _SILENCE_SECONDS)
