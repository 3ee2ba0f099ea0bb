"""Library roots by the names that batches have, and what is known directly below them."""

from typing import Final

from sqlalchemy import Connection, func, select

from db.states import BatchState
from db.tables import PENDING, batches

_BATCHES_REMEMBERED: Final = 256
_OPEN_BATCHES_READ: Final = 8  # with all of their paths; those that are done keep one


def roots(connection: Connection) -> list[str]:
    """Return the names of all library roots that sounds came from, in order.

    Asked of the ledger: it has one row where the table of sounds has hundreds.
    """
    query = select(batches.c.root).distinct().order_by(batches.c.root)
    return list(connection.scalars(query))


def known_names(connection: Connection, root: str) -> list[str]:
    """Return names directly below a library root, of files and folders that were classified.

    Then those that a producer has seen since: all that was classified may have been renamed.
    """
    latest = select(batches.c.paths).where(batches.c.root == root).order_by(batches.c.id.desc())
    done = batches.c.state == BatchState.DONE
    names: dict[str, None] = {}
    for known, limit in (
        (done & (batches.c.classified > 0), _BATCHES_REMEMBERED),
        (~done & batches.c.seen, _OPEN_BATCHES_READ),
    ):
        for paths in connection.scalars(latest.where(known).limit(limit)):
            names.update((path.partition("/")[0], None) for path in paths[:1])
        if not names:
            break
    return list(names)


def next_pending_root(connection: Connection, after: str | None) -> str | None:
    """Return the next library root, by name, that a pending batch is of; first with None."""
    query = select(func.min(batches.c.root)).where(PENDING)
    if after is not None:
        query = query.where(batches.c.root > after)
    name: str | None = connection.execute(query).scalar_one()
    return name


def in_flight(connection: Connection) -> dict[str, int]:
    """Count the batches that are queued or running by library root."""
    return _counts(connection, BatchState.QUEUED, BatchState.RUNNING)


def queued(connection: Connection) -> dict[str, int]:
    """Count the batches that should have a message waiting by library root."""
    return _counts(connection, BatchState.QUEUED)


def _counts(connection: Connection, *states: BatchState) -> dict[str, int]:
    query = (
        select(batches.c.root, func.count().label("n"))
        .where(batches.c.state.in_(states))
        .group_by(batches.c.root)
    )
    return {row.root: row.n for row in connection.execute(query)}
