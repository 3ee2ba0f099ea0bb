"""The objects that a process needs to classify: settings, database engine, model, crash marker.

One per process, created after the fork: a connection or a loaded model must not be shared with the
parent.
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from sqlalchemy import Engine

from workers.reading.folder_cache import FolderCache
from workers.recovery.crash_marker import CrashMarker
from workers.serving.serving_model import ServingModel
from workers.settings import Settings


@dataclass(frozen=True, slots=True)
class WorkContext:
    """The objects that a process needs to classify."""

    settings: Settings
    database: Engine
    model: ServingModel
    #: Also has the name under which the process claims batches.
    marker: CrashMarker
    #: How long a batch may take before the process is killed; infinite in the embedded mode.
    time_limit_seconds: float = math.inf
    folders: FolderCache = field(default_factory=FolderCache)
    #: Whether a SystemExit or KeyboardInterrupt comes from a request to stop this process.
    is_stopping: Callable[[], bool] = lambda: True

    @classmethod
    def create(
        cls,
        settings: Settings,
        database: Engine,
        *,
        time_limit_seconds: float = math.inf,
        loading: Callable[[], AbstractContextManager[None]] = nullcontext,
        is_stopping: Callable[[], bool] = lambda: True,
    ) -> "WorkContext":
        """Return a context for the calling process; nothing is connected or loaded yet.

        `loading` returns a context manager in which a model is loaded. Raises OSError when the data
        folder cannot be written.
        """
        return cls(
            settings=settings,
            database=database,
            model=ServingModel(settings.engine, loading),
            marker=CrashMarker(settings.running_folder),
            time_limit_seconds=time_limit_seconds,
            is_stopping=is_stopping,
        )

    def close(self) -> None:
        """Close the database connections, and the marker unless a batch is in progress."""
        self.database.dispose()
        self.marker.close()
