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

#: How long a batch should take, and the fewest sounds in it: each batch has an overhead of some
#: milliseconds.
_BATCH_SECONDS: Final = 1.0
_LEAST_BATCH: Final = 32

#: How often the time per sound is queried again.
_RESIZE_SECONDS: Final = 5.0


def batch_size(connection: Connection, settings: Settings) -> int:
    """Return how many sounds are about a second's work, at most the setting `batch_size`.

    The estimate is based on the latest batches. On a slow mount a batch of a thousand would keep
    its worker busy for a minute, and all of it would be repeated if the worker died.
    """
    seconds = batch_metrics.seconds_per_sound(connection, least_sounds=_LEAST_BATCH)
    if not seconds:
        return settings.batch_size
    return min(settings.batch_size, max(_LEAST_BATCH, round(_BATCH_SECONDS / seconds)))


class BatchWriter:
    """Writes sounds to the ledger in full batches of one root each; keeps the rest for later.

    - `interactive`: whether a user waits for these sounds.
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
        """Add sounds, write the full batches, and return how many sounds were written.

        - `found`: sounds of one root must be adjacent.
        - `last`: whether to write incomplete batches, too.
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
    """Yield the items in lists of `size`; the last may be shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
