"""Flower's history in one file, which is replaced as a whole.

Flower's own is a database of up to three files; whatever ends it between two of them costs all of
the history.
"""

import logging
import os
import pickle
from pathlib import Path
from typing import Any

from flower.events import Events

log = logging.getLogger(__name__)


def install() -> None:
    """Have Flower keep its history in such a file."""
    Events.load_state = _load
    Events.save_state = _save


def _load(events: Any) -> Any:
    try:
        # As safe as Flower's own: whoever may write to the data folder wrote it.
        state, counts = pickle.loads(Path(events.db).read_bytes())  # noqa: S301
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever stands there, Flower starts without it
        log.warning("the history in %s cannot be read (%s); another one begins", events.db, error)
        return None
    state.counter.update(counts)
    return state


def _save(events: Any) -> None:
    part = Path(f"{events.db}.tmp")
    try:
        part.write_bytes(pickle.dumps((events.state, dict(events.state.counter))))
        os.replace(part, events.db)
    except OSError as error:
        log.warning("the history cannot be written to %s: %s", events.db, error.strerror)
