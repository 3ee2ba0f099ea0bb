"""Whether the database and library roots are available, in memory that a worker's processes share.

The supervisor records when each of them last answered, and when it last finished a round itself.
The parent takes no messages for whatever is unavailable, and replaces a supervisor that hangs. A
child that gets an error records it at once. No process waits for another, so none can block
another.
"""

import functools
import math
import mmap
import os
import struct
import tempfile
import time
from collections.abc import Collection
from typing import Final

from workers.settings import load_settings

#: Seconds of the monotonic clock: the last answer, and until when it counts as unavailable.
_LAYOUT: Final = struct.Struct("<dd")
_UNTIL: Final = struct.Struct("<d")
#: A database that has not answered for this long counts as unavailable: a busy one answers sooner.
_DATABASE_TIMEOUT_SECONDS: Final = 5.0
#: Listing a root may take long on slow storage.
_ROOT_TIMEOUT_SECONDS: Final = 20.0
#: Longer than a round in which a connection is given up (`db.engine.SERVICE`).
_SUPERVISOR_TIMEOUT_SECONDS: Final = 30.0
#: Longer than a supervisor takes to load, even on a machine that starts many of them.
_START_SECONDS: Final = 60.0


class Health:
    """Whether the database, the supervisor or a library root answered recently."""

    def __init__(self, memory: mmap.mmap, place: int, timeout_seconds: float) -> None:
        self._memory = memory
        self._offset = place * _LAYOUT.size
        self._timeout_seconds = timeout_seconds

    def expect_supervisor(self) -> None:
        """Count as up until a supervisor that is being started can report for the first time.

        The supervisor takes seconds to load, and a worker checks the database just before.
        """
        self._write(time.monotonic() + _START_SECONDS)

    def report_up(self) -> None:
        """Record that it has just answered."""
        self._write(time.monotonic())

    def report_down(self) -> None:
        """Record that it is unavailable."""
        self._write(-math.inf)

    def report_down_for(self, seconds: float) -> None:
        """Count as unavailable for this long, even if it answers the supervisor."""
        until = time.monotonic() + seconds
        _UNTIL.pack_into(self._memory, self._offset + _UNTIL.size, until)

    @property
    def is_up(self) -> bool:
        """Whether it answered recently."""
        answered, held_until = _LAYOUT.unpack_from(self._memory, self._offset)
        now = time.monotonic()
        return bool(now - answered < self._timeout_seconds and now >= held_until)

    def _write(self, answered: float) -> None:
        _UNTIL.pack_into(self._memory, self._offset, answered)


class SharedHealth:
    """The health of database, supervisor and library roots, in the memory of a descriptor `fd`.

    - `roots`: names of the host's library roots.
    """

    def __init__(self, fd: int, roots: Collection[str]) -> None:
        self.fd = fd
        memory = mmap.mmap(fd, _LAYOUT.size * (2 + len(roots)))
        self.database = Health(memory, 0, _DATABASE_TIMEOUT_SECONDS)
        self.supervisor = Health(memory, 1, _SUPERVISOR_TIMEOUT_SECONDS)
        self.roots = {
            name: Health(memory, place, _ROOT_TIMEOUT_SECONDS)
            for place, name in enumerate(sorted(roots), start=2)
        }

    @classmethod
    def create(cls, roots: Collection[str] = ()) -> "SharedHealth":
        """Return a new instance for the parent; everything counts as up at first."""
        # Not memfd_create, which macOS lacks, nor an anonymous mapping, which has no descriptor.
        with tempfile.TemporaryFile() as file:
            os.pwrite(file.fileno(), bytes(_LAYOUT.size * (2 + len(roots))), 0)
            health = cls(os.dup(file.fileno()), roots)
        for part in (health.database, health.supervisor, *health.roots.values()):
            part.expect_supervisor()
        return health


@functools.cache
def shared_health() -> SharedHealth:
    """Return this worker's instance, created by the parent and inherited by its children."""
    return SharedHealth.create(load_settings().library_roots)
