"""Keep Flower's history in one file, which is replaced atomically.

Flower itself uses a `shelve` database of up to three files. If it is killed after replacing only
some of them, the whole history is lost.
"""

import logging
import os
import pickle
from pathlib import Path
from typing import Any

from flower.events import Events

log = logging.getLogger(__name__)


def install() -> None:
    """Make Flower load and save its history with this module."""
    Events.load_state = _load
    Events.save_state = _save


def _load(events: Any) -> Any:
    try:
        # As safe as Flower's own format: only users who may write to its folder can change it.
        state, counts = pickle.loads(Path(events.db).read_bytes())  # noqa: S301
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever the damage, Flower starts without it
        log.warning("cannot read the history in %s (%s); starting a new one", events.db, error)
        return None
    state.counter.update(counts)
    return state


def _save(events: Any) -> None:
    part = Path(f"{events.db}.tmp")
    try:
        part.write_bytes(pickle.dumps((events.state, dict(events.state.counter))))
        os.replace(part, events.db)
    except OSError as error:
        log.warning("cannot write the history to %s: %s", events.db, error.strerror)
