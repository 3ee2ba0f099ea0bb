"""What one process works with: its settings, its database engine, its classifier, its name.

One per process, made after the fork: a connection or a loaded model must not be shared with the
parent.
"""

import os
import socket
import uuid
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from db.engine import create_engine
from workers.predictor import Predictor
from workers.reading_note import ReadingNote
from workers.settings import Settings

HOSTNAME: Final = socket.gethostname()


@dataclass(frozen=True, slots=True)
class WorkContext:
    """One process's means.

    Attributes
    ----------
    settings : Settings
    database : Engine
    predictor : Predictor
    worker : str
        ``host:pid:nonce``, as the ledger shows it; the nonce tells a process from a later one
        that was given the same pid.
    note : ReadingNote or None
        Where to note which file is being read; None where nobody would look.
    """

    settings: Settings
    database: Engine
    predictor: Predictor
    worker: str
    note: ReadingNote | None = None

    @classmethod
    def create(cls, settings: Settings, *, note: ReadingNote | None = None) -> "WorkContext":
        """Return a context for the calling process; nothing is connected or loaded yet."""
        return cls(
            settings=settings,
            database=create_engine(settings.database),
            predictor=Predictor(settings.engine),
            worker=worker_name(),
            note=note,
        )


def worker_name() -> str:
    """Return the name under which this process claims batches."""
    return f"{HOSTNAME[:200]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
