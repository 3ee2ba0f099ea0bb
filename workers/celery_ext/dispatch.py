"""Publishing messages for pending batches, as many as the window allows.

Batches are marked `queued` and committed first, then published; if publishing fails, they become
pending again. After a crash between the two, a queued batch has no message; a sweep publishes it.
"""

import json
import logging
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from celery import Celery
from kombu.exceptions import ChannelError
from sqlalchemy import Engine

from classifier.files.paths import printable
from db.errors import plain
from db.queue import ledger
from db.queue.batch import QueuedBatch
from workers.celery_ext.app import (
    BULK_PRIORITY,
    CLASSIFY_QUEUE,
    CLASSIFY_TASK,
    FIRST_PRIORITY,
    INTERACTIVE_QUEUE,
    queue_of,
)
from workers.celery_ext.redis_transport import LONGEST_ENTRY_CHARACTERS
from workers.faults import BROKER_AWAY
from workers.settings import Settings

log = logging.getLogger(__name__)

#: Version of the message's arguments; a worker leaves versions it does not know to others.
MESSAGE_VERSION: Final = 1

#: Most characters of the paths as JSON: the message, in base64, stays shorter than what is parsed.
_LONGEST_PATHS: Final = LONGEST_ENTRY_CHARACTERS // 2

#: Most characters shown of a path.
_SHOWN_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class Dispatched:
    """How many batches were published, and why publishing stopped if it did."""

    published: int
    broker_away: str | None = None


def dispatch(
    app: Celery, database: Engine, settings: Settings, *, limit: int | None = None
) -> Dispatched:
    """Publish pending batches: at most `limit` of a library root now.

    At most `window_batches` of a root are queued or running at once.
    """
    window = settings.window_batches
    with database.begin() as connection:
        taken = ledger.take_pending(connection, window=window, limit=limit or window)
    return publish(app, database, taken)


def publish(app: Celery, database: Engine, taken: Sequence[QueuedBatch]) -> Dispatched:
    """Send a message for each queued batch; those that cannot be sent are pending again."""
    for position, batch in enumerate(taken):
        try:
            _send(app, batch)
        except BROKER_AWAY as error:
            with database.begin() as connection:
                ledger.unqueue(connection, [unsent.id for unsent in taken[position:]])
            log.warning(
                "Redis cannot be reached (%s): batches left in the ledger until it can: %d",
                plain(error),
                len(taken) - position,
            )
            return Dispatched(position, plain(error))
    return Dispatched(len(taken))


def messages_waiting(app: Celery, roots: Iterable[str]) -> int:
    """Return how many messages of these roots' batches wait in Redis; 0 if it is unreachable."""
    queues = {CLASSIFY_QUEUE, INTERACTIVE_QUEUE, *_queues_of(roots)}
    try:
        with app.connection_for_read() as connection:
            channel = connection.default_channel
            return sum(_length(channel, queue) for queue in queues)
    except BROKER_AWAY:
        return 0


def queue_lengths(app: Celery, roots: Iterable[str]) -> dict[str, int]:
    """Return how many messages wait in each queue, or raise one of `BROKER_AWAY`.

    - `roots`: further library roots, which this host need not have.
    """
    queues = dict.fromkeys([*(queue.name for queue in app.conf.task_queues), *_queues_of(roots)])
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        return {queue: _length(channel, queue) for queue in queues}


def _queues_of(roots: Iterable[str]) -> list[str]:
    return [queue_of(root, interactive=urgent).name for root in roots for urgent in (True, False)]


def _length(channel: Any, queue: str) -> int:
    try:
        return int(channel.queue_declare(queue, passive=True).message_count)
    except ChannelError:
        return 0  # no such queue: Redis is empty


def _send(app: Celery, batch: QueuedBatch) -> None:
    # With its folder, but shortened: a path may be very long, and Flower keeps 20,000 of these.
    first = printable(f"{batch.root}/{batch.paths[0]}".replace("//", "/", 1))
    if len(first) > _SHOWN_CHARACTERS:
        first = "..." + first[-_SHOWN_CHARACTERS:]
    paths = list(batch.paths)
    if len(json.dumps(paths)) > _LONGEST_PATHS:
        paths = []  # a worker reads them from the ledger
    app.send_task(
        CLASSIFY_TASK,
        kwargs={
            "version": MESSAGE_VERSION,
            "batch_id": batch.id,
            "root": batch.root,
            "paths": paths,
        },
        # A batch may be published again: each message needs an id of its own.
        task_id=f"batch-{batch.id}-{uuid.uuid4().hex[:8]}",
        queue=queue_of(batch.root, interactive=batch.interactive),
        priority=FIRST_PRIORITY if batch.again or batch.interactive else BULK_PRIORITY,
        # What Flower and the logs show in place of 256 paths.
        argsrepr="()",
        kwargsrepr=f"batch {batch.id} of ingest {batch.ingest_id}: "
        f"{len(batch.paths)} sounds from {first}",
    )
