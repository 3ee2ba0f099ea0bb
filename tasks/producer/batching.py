"""Packing the sounds of an ingest into batches of about a second's work."""

import time
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Final, TypeVar

from sqlalchemy import Connection

from db.queue import ledger
from db.queue.batch import BatchEntry
from db.reporting import batch_metrics
from tasks.producer.locator import FoundSound, root_of
from workers.settings import Settings

T = TypeVar("T")

#: How long a batch should take, and the fewest sounds it may have: each batch costs some
#: milliseconds by itself.
_BATCH_SECONDS: Final = 1.0
_LEAST_BATCH: Final = 32

#: How often it is looked up again how long a sound takes.
_RESIZE_SECONDS: Final = 5.0


def batch_size(connection: Connection, settings: Settings) -> int:
    """Return how many sounds make a batch of about a second's work; the settings' number at most.

    It follows how long the latest batches took. On a slow mount a batch of a thousand would keep
    its worker busy for a minute, and cost as much again if that worker died.
    """
    seconds = batch_metrics.seconds_per_sound(connection, least_sounds=_LEAST_BATCH)
    if not seconds:
        return settings.batch_size
    return min(settings.batch_size, max(_LEAST_BATCH, round(_BATCH_SECONDS / seconds)))


class BatchWriter:
    """Writes sounds to the ledger in full batches of one root each; the rest waits for more.

    - `interactive`: whether somebody waits for these sounds.
    """

    def __init__(self, ingest_id: int, settings: Settings, *, interactive: bool = False) -> None:
        self._ingest_id = ingest_id
        self._settings = settings
        self._interactive = interactive
        self._waiting: list[FoundSound] = []
        self._size = 0
        self._sized_at = -_RESIZE_SECONDS

    def write(
        self, connection: Connection, found: Iterable[FoundSound] = (), *, last: bool = False
    ) -> int:
        """Take sounds, write those that fill a batch, and return how many were written.

        - `found`: those of one root beside each other.
        - `last`: whether to write those too that fill no batch.
        """
        self._waiting.extend(found)
        moment = time.monotonic()
        if moment - self._sized_at >= _RESIZE_SECONDS:
            self._size, self._sized_at = batch_size(connection, self._settings), moment
        rest: list[FoundSound] = []
        written = 0
        for root, group in groupby(self._waiting, key=root_of):
            for part in chunks(group, self._size):
                if len(part) < self._size and not last:
                    rest += part
                    continue
                entries = [BatchEntry(sound.path, sound.pack, sound.vendor) for sound in part]
                ledger.add_batch(
                    connection,
                    self._ingest_id,
                    root,
                    entries,
                    seen=any(sound.file_size_bytes is not None for sound in part),
                    interactive=self._interactive,
                )
                written += len(part)
        self._waiting = rest
        return written


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of this many; the last may be shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
