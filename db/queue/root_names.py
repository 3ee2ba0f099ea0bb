"""Library roots that batches name, the known names directly below them, and counts by root."""

from typing import Final

from sqlalchemy import Connection, func, select

from db.queue.batch import has_valid_paths
from db.states import BatchState
from db.tables import PENDING, batches

_BATCHES_REMEMBERED: Final = 256
_OPEN_BATCHES_READ: Final = 8  # few: their rows have all paths, those of done batches only one


def roots(connection: Connection) -> list[str]:
    """Return the names of all library roots that sounds came from, sorted.

    Read from the batches, because there are hundreds of sounds for each batch.
    """
    query = select(batches.c.root).distinct().order_by(batches.c.root)
    return list(connection.scalars(query))


def known_names(connection: Connection, root: str) -> list[str]:
    """Return names of files and folders directly below a library root, from recent batches.

    Batches with classified sounds come first; without any, the result is empty. Names from open
    batches that a producer has seen follow, because all classified files may have been renamed.
    """
    latest = select(batches.c.paths).where(batches.c.root == root).order_by(batches.c.id.desc())
    done = batches.c.state == BatchState.DONE
    names: dict[str, None] = {}
    for known, limit in (
        (done & (batches.c.classified > 0), _BATCHES_REMEMBERED),
        (~done & batches.c.seen, _OPEN_BATCHES_READ),
    ):
        for paths in connection.scalars(latest.where(known).limit(limit)):
            if has_valid_paths(paths):
                names[paths[0].partition("/")[0]] = None
        if not names:
            break
    return list(names)


def next_pending_root(connection: Connection, after: str | None) -> str | None:
    """Return the first library root after `after`, by name, that has a pending batch.

    - `after`: None to start with the first root.
    """
    query = select(func.min(batches.c.root)).where(PENDING)
    if after is not None:
        query = query.where(batches.c.root > after)
    name: str | None = connection.execute(query).scalar_one()
    return name


def in_flight(connection: Connection) -> dict[str, int]:
    """Count queued and running batches by library root."""
    return _counts(connection, BatchState.QUEUED, BatchState.RUNNING)


def queued(connection: Connection) -> dict[str, int]:
    """Count queued batches by library root; each should have a message waiting."""
    return _counts(connection, BatchState.QUEUED)


def _counts(connection: Connection, *states: BatchState) -> dict[str, int]:
    query = (
        select(batches.c.root, func.count().label("n"))
        .where(batches.c.state.in_(states))
        .group_by(batches.c.root)
    )
    return {row.root: row.n for row in connection.execute(query)}
