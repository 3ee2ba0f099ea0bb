"""What one process works with: its settings, its database engine, its classifier, its name.

One per process, made after the fork: a connection or a loaded model must not be shared with the
parent.
"""

import math
import os
import socket
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Engine

from db.engine import create_engine
from workers.reading.folder_cache import Folders
from workers.recovery.crash_marker import CrashMarker
from workers.serving_model import ServingModel
from workers.settings import Settings

HOSTNAME: Final = socket.gethostname()


@dataclass(frozen=True, slots=True)
class WorkContext:
    """One process's means.

    Attributes
    ----------
    worker : str
        ``host:pid:nonce``, as the ledger shows it; the nonce tells a process from a later one
        that was given the same pid.
    marker : CrashMarker or None
        Where to note which file is being read; None in a process that reads none.
    time_limit_seconds : float
        How long a batch may take here before the process is killed; infinite where nobody would.
    folders : Folders
        The folders of the last batches, as they were on disk.
    """

    settings: Settings
    database: Engine
    model: ServingModel
    worker: str
    marker: CrashMarker | None = None
    time_limit_seconds: float = math.inf
    folders: Folders = field(default_factory=Folders)

    @classmethod
    def create(
        cls,
        settings: Settings,
        *,
        reads: bool = False,
        time_limit_seconds: float = math.inf,
        loading: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> "WorkContext":
        """Return a context for the calling process; nothing is connected or loaded yet.

        Parameters
        ----------
        reads : bool
            Whether the process will read files, and so must keep a note.
        time_limit_seconds : float
            As the attribute.
        loading : callable
            Gives the block in which a model is loaded.

        Raises
        ------
        OSError
            The data folder cannot be written.
        """
        worker = worker_name()
        return cls(
            settings=settings,
            database=create_engine(settings.database),
            model=ServingModel(settings.engine, loading),
            worker=worker,
            marker=CrashMarker(settings.running_folder, worker) if reads else None,
            time_limit_seconds=time_limit_seconds,
        )

    def close(self) -> None:
        """Return the database connections and take the note away, if nothing is in hand."""
        self.database.dispose()
        if self.marker is not None:
            self.marker.close()


def worker_name() -> str:
    """Return the name under which this process claims batches."""
    return f"{HOSTNAME[:200]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
