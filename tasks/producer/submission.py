"""Writing an ingest to the ledger, for the command line and for other programs.

When `submit` returns, every file is in the ledger, whether Redis can be reached or not. This module
imports no model library.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, Engine

from db.engine import create_engine
from db.migrate import require_current
from db.queue import ledger
from db.registry import bundles
from db.results import gone, sounds
from db.results.gone import MissingSounds
from tasks.producer.batching import BatchWriter, chunks
from tasks.producer.file_source import FileSource
from tasks.producer.gone_files import found_files, reconcile
from tasks.producer.locator import FoundSound, Locator
from tasks.producer.notifier import Notifier
from tasks.producer.unchanged import Reclassify, compare_with_rows
from workers.settings import Settings, load_settings

#: While no batch is written, the counts are saved this often.
_RECORD_SECONDS: Final = 1.0

#: Longest time in which a portion of sounds is collected. The clock is read once for each
#: `_FOUND_AT_A_TIME` sounds.
_PORTION_SECONDS: Final = 0.25
_FOUND_AT_A_TIME: Final = 64


@dataclass(slots=True)
class Submission:
    """What an ingest has written to the ledger so far.

    - `found`: sounds found.
    - `ignored`: files and folders skipped.
    - `skipped_unchanged`: sounds whose rows are up to date.
    - `skipped_failed`: how many of these rows are failures.
    - `enqueued`: sounds in new batches.
    - `gone`, `moved`: sounds of earlier ingests that no longer exist, or are at another path now.
    - `empty`: folders that may be unavailable mounts, because none of their known sounds was
      found; with the counts of those sounds.
    - `broker_away`: why publishing stopped, if Redis failed. The work stays in the ledger.
    """

    ingest_id: int
    found: int = 0
    ignored: int = 0
    skipped_unchanged: int = 0
    skipped_failed: int = 0
    enqueued: int = 0
    gone: int = 0
    moved: int = 0
    empty: dict[str, MissingSounds] = field(default_factory=dict)
    broker_away: str | None = None

    def record(self, connection: Connection, *, submitted: bool) -> None:
        """Write the counts; `submitted`: whether the ingest is complete."""
        ledger.record_progress(
            connection,
            self.ingest_id,
            found=self.found,
            ignored=self.ignored,
            skipped_unchanged=self.skipped_unchanged,
            enqueued=self.enqueued,
            submitted=submitted,
        )


def submit(
    paths: Iterable[str | bytes | os.PathLike[str]],
    *,
    settings: Settings | None = None,
    interactive: bool = False,
) -> Submission:
    """Write the sounds at and below `paths` to the ledger and publish the first of them.

    Returns as soon as the ledger is committed; nothing has been classified yet.

    - `settings`: read from the environment when not given.
    - `interactive`: whether a user waits for these files; they are then processed before others.

    Raises tasks.producer.locator.OutsideRootsError: a path lies in no library root; nothing was
    written.
    Raises db.migrate.SchemaError: the database is not at this version's tables.
    Raises sqlalchemy.exc.OperationalError: the database is unreachable; committed batches are safe.
    """
    settings = settings or load_settings()
    source = FileSource(
        [os.fspath(path) for path in paths], Locator(settings), exclude=settings.exclude
    )
    database = create_engine(settings.database)
    try:
        require_current(database)
        return submit_source(source, settings=settings, database=database, interactive=interactive)
    finally:
        database.dispose()


def submit_source(
    source: FileSource,
    *,
    settings: Settings,
    database: Engine,
    reclassify: Reclassify | None = None,
    interactive: bool = False,
    on_progress: Callable[[Submission], None] = lambda _: None,
) -> Submission:
    """Write sounds to the ledger as they are found, so that finding and classifying overlap.

    `on_progress` is called after each commit. See `submit`, and `compare_with_rows` for
    `reclassify`.
    """
    notifier = Notifier(settings, database)
    with database.begin() as connection:
        serving = bundles.serving_version(connection) if reclassify else None
        newest_id = gone.newest_id(connection)
        state = Submission(ledger.open_ingest(connection, source.description))
    batches = BatchWriter(state.ingest_id, settings, interactive=interactive)
    recorded = time.monotonic()
    with found_files(newest_id) as found:
        for portion in _portions(source):
            with database.begin() as connection:
                compared = compare_with_rows(connection, portion, reclassify, serving)
                written = batches.write(connection, compared.stale)
                state.found += len(portion)
                state.ignored = source.ignored.total
                state.skipped_unchanged += len(portion) - len(compared.stale)
                state.skipped_failed += compared.skipped_failed
                state.enqueued += written
                if written or time.monotonic() - recorded > _RECORD_SECONDS:
                    state.record(connection, submitted=False)
                    recorded = time.monotonic()
            found.add(compared)
            if written:
                state.broker_away = notifier.notify()
            on_progress(state)
        with database.begin() as connection:
            state.enqueued += batches.write(connection, last=True)
            state.ignored = source.ignored.total
            state.record(connection, submitted=True)
        state.broker_away = notifier.notify()
        on_progress(state)
        reconciled = reconcile(database, found, source.ignored, source.locator)
    state.gone, state.moved, state.empty = reconciled.gone, reconciled.moved, reconciled.empty
    return state


def _portions(found: Iterable[FoundSound]) -> Iterator[list[FoundSound]]:
    """Yield the sounds in portions; each is compared with its rows in one query.

    A portion is as large as a query may be, because each query costs a scan. On a slow mount a
    portion ends after a quarter of a second, because workers are waiting.
    """
    portion: list[FoundSound] = []
    began = time.monotonic()
    for chunk in chunks(found, _FOUND_AT_A_TIME):
        portion += chunk
        is_full = len(portion) + _FOUND_AT_A_TIME > sounds.LOOK_UP_AT_ONCE
        if is_full or time.monotonic() - began > _PORTION_SECONDS:
            yield portion
            portion, began = [], time.monotonic()
    if portion:
        yield portion
