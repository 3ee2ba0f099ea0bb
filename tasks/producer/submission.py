"""The other end of the queue: `submit` writes an ingest into the ledger and rings the doorbell.

The one way in, for the command line and for any other producer. The promise starts at the ledger's
commit: when `submit` returns, every file is in it, whether Redis is there or not. No model library
is imported here.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, Engine

from db.engine import create_engine
from db.migrate import require_current
from db.queue import ledger
from db.registry import bundles
from db.results import sounds
from tasks.producer.batching import BatchWriter, chunks
from tasks.producer.file_source import FileSource
from tasks.producer.locator import FoundSound, Locator
from tasks.producer.notifier import Notifier
from tasks.producer.unchanged import Reclassify, needs_classification
from workers.settings import Settings, load_settings

#: Where nothing is to do, how far an ingest is need not be written for each few hundred files.
_RECORD_SECONDS: Final = 1.0

#: After this long what was found is looked up; and between how many the clock is looked at.
_PORTION_SECONDS: Final = 0.25
_FOUND_AT_A_TIME: Final = 64


@dataclass(frozen=True, slots=True)
class Submission:
    """What was written to the ledger.

    Attributes
    ----------
    found : int
        Files that look like sounds.
    ignored : int
        Files passed over.
    skipped_unchanged : int
        Found, but their rows are up to date.
    skipped_failed : int
        Of those, the ones whose row is a failure.
    enqueued : int
        Files in the ledger's new batches.
    broker_away : str or None
        Why no (more) messages were sent; the work waits in the ledger and loses nothing.
    """

    ingest_id: int
    found: int = 0
    ignored: int = 0
    skipped_unchanged: int = 0
    skipped_failed: int = 0
    enqueued: int = 0
    broker_away: str | None = None


def submit(
    paths: Iterable[str | bytes | os.PathLike[str]],
    *,
    settings: Settings | None = None,
    interactive: bool = False,
) -> Submission:
    """Write the sounds at and below `paths` to the ledger and publish the first of them.

    Parameters
    ----------
    paths : iterable of path
        Files and folders.
    settings : Settings, optional
        Read from the environment when not given.
    interactive : bool
        Whether somebody waits for these files: they then go before all others.

    Returns
    -------
    Submission
        As soon as the ledger is committed; nothing has been classified yet.

    Raises
    ------
    tasks.producer.locator.OutsideRootsError
        A path that no library root holds; nothing was written.
    db.migrate.SchemaError
        The database is not at this version's tables.
    sqlalchemy.exc.OperationalError
        The database is away; batches committed before are safe.
    """
    settings = settings or load_settings()
    names = [os.fspath(path) for path in paths]
    database = create_engine(settings.database)
    try:
        require_current(database)
        source = FileSource(names, Locator(settings))
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
    """Write sounds to the ledger as they are found: finding and classifying overlap.

    Parameters
    ----------
    database : Engine
        At this version's tables.
    reclassify : Reclassify, optional
        Which unchanged sounds to classify too.
    interactive : bool
        Whether somebody waits for them.
    on_progress : callable
        Called with the state so far after each commit.
    """
    notifier = Notifier(settings, database)
    with database.begin() as connection:
        champion = bundles.serving_version(connection) if reclassify else None
        state = Submission(ledger.open_ingest(connection, source.description))
    batches = BatchWriter(state.ingest_id, settings, interactive=interactive)
    recorded = time.monotonic()
    for chunk in _portions(source):
        with database.begin() as connection:
            stale, failed = needs_classification(connection, chunk, reclassify, champion)
            written = batches.add(connection, stale)
            state = replace(
                state,
                found=state.found + len(chunk),
                skipped_unchanged=state.skipped_unchanged + len(chunk) - len(stale),
                skipped_failed=state.skipped_failed + failed,
                enqueued=state.enqueued + written,
                ignored=source.ignored.total,
            )
            if written or time.monotonic() - recorded > _RECORD_SECONDS:
                _record(connection, state, submitted=False)
                recorded = time.monotonic()
        if written:
            state = replace(state, broker_away=notifier.notify())
        on_progress(state)
    with database.begin() as connection:
        written = batches.close(connection)
        state = replace(state, enqueued=state.enqueued + written, ignored=source.ignored.total)
        _record(connection, state, submitted=True)
    state = replace(state, broker_away=notifier.notify())
    on_progress(state)
    return state


def _portions(found: Iterable[FoundSound]) -> Iterator[list[FoundSound]]:
    """Yield the sounds in parts that are looked up at once.

    A part is as large as a look-up may be, because each costs the database a scan. While a slow
    mount is walked, workers wait: then a part is what a quarter of a second found.
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


def _record(connection: Connection, state: Submission, *, submitted: bool) -> None:
    ledger.record_progress(
        connection,
        state.ingest_id,
        found=state.found,
        ignored=state.ignored,
        skipped_unchanged=state.skipped_unchanged,
        enqueued=state.enqueued,
        submitted=submitted,
    )
