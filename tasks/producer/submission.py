"""The other end of the queue: `submit` writes an ingest into the ledger and rings the doorbell.

The one way in, for the command line and for any other producer. The promise starts at the ledger's
commit: when `submit` returns, every file is in it, whether Redis is there or not. No model library
is imported here.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, islice
from operator import attrgetter
from typing import Final

from sqlalchemy import Connection, Engine

from classifier.files.paths import path_text
from db.engine import create_engine
from db.migrate import require_current
from db.queue import ledger
from db.queue.batch import BatchEntry
from db.registry import bundles
from db.reporting import batch_metrics
from db.results import sounds
from db.results.sounds import KnownSound
from db.tables import SoundStatus
from tasks.producer.discovery import FoundSound, Ignored, Locator, find
from tasks.producer.notifier import Bell
from workers.settings import Settings, load_settings

#: Where nothing is to do, how far an ingest is need not be written for each few hundred files.
_RECORD_SECONDS: Final = 1.0

#: After this long what was found is looked up; and between how many the clock is looked at.
_PORTION_SECONDS: Final = 0.25
_FOUND_AT_A_TIME: Final = 64

#: What a batch should take, and how few sounds it may be for that; each costs some milliseconds
#: by itself.
_BATCH_SECONDS: Final = 1.0
_LEAST_BATCH: Final = 32
#: How often the producer looks again how long a sound takes.
_AIM_AGAIN_SECONDS: Final = 5.0

_ROOT: Final = attrgetter("root")


@dataclass(frozen=True, slots=True)
class Reclassify:
    """Which unchanged sounds are classified again all the same.

    Attributes
    ----------
    below : float or None
        Only those with a confidence below this.
    older_model_only : bool
        Only those that another model than the champion classified.
    """

    below: float | None = None
    older_model_only: bool = False


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
    tasks.producer.discovery.OutsideRootsError
        A path that no library root holds; nothing was written for it or those after it.
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
        ignored = Ignored()
        found = find(names, Locator(settings), ignored)
        source = ", ".join(path_text(name) for name in names[:3])
        return submit_found(
            found,
            source=source,
            settings=settings,
            database=database,
            ignored=ignored,
            interactive=interactive,
        )
    finally:
        database.dispose()


def submit_found(
    found: Iterable[FoundSound],
    *,
    source: str,
    settings: Settings,
    database: Engine,
    ignored: Ignored,
    reclassify: Reclassify | None = None,
    interactive: bool = False,
    on_progress: Callable[[Submission], None] = lambda _: None,
) -> Submission:
    """Write found sounds to the ledger, batch by batch, ringing the doorbell in between.

    Parameters
    ----------
    found : iterable of FoundSound
        Consumed as it comes: finding, committing and classifying overlap.
    source : str
        What a person asked for, for `status`.
    database : Engine
        At this version's tables.
    ignored : Ignored
        Counted by whoever yields `found`.
    reclassify : Reclassify, optional
        Visit unchanged sounds too.
    interactive : bool
        Whether somebody waits for them.
    on_progress : callable
        Called with the state so far after each commit.
    """
    bell = Bell(settings, database)
    with database.begin() as connection:
        champion = _serving_version(connection) if reclassify else None
        state = Submission(ledger.open_ingest(connection, source))
        size = batch_size(connection, settings)
    waiting: list[FoundSound] = []
    recorded = aimed = time.monotonic()
    for chunk in _portions(found):
        with database.begin() as connection:
            fresh, failed = worth_a_visit(connection, chunk, reclassify, champion)
            waiting.extend(fresh)
            state = replace(
                state,
                found=state.found + len(chunk),
                skipped_unchanged=state.skipped_unchanged + len(chunk) - len(fresh),
                skipped_failed=state.skipped_failed + failed,
                ignored=ignored.total,
            )
            if time.monotonic() - aimed > _AIM_AGAIN_SECONDS:
                size, aimed = batch_size(connection, settings), time.monotonic()
            written, waiting = _write_full(
                connection, state.ingest_id, waiting, size, interactive=interactive
            )
            state = replace(state, enqueued=state.enqueued + written)
            if written or time.monotonic() - recorded > _RECORD_SECONDS:
                _record(connection, state, submitted=False)
                recorded = time.monotonic()
        if written:
            state = replace(state, broker_away=bell.ring())
        on_progress(state)
    with database.begin() as connection:
        add_batches(connection, state.ingest_id, waiting, settings, interactive=interactive)
        state = replace(state, enqueued=state.enqueued + len(waiting), ignored=ignored.total)
        _record(connection, state, submitted=True)
    state = replace(state, broker_away=bell.ring())
    on_progress(state)
    return state


def _portions(found: Iterable[FoundSound]) -> Iterator[list[FoundSound]]:
    """Yield what was found in parts that are looked up at once.

    As large as a look-up may be, for each costs the database a scan; but what there is after a
    moment, for workers wait while a slow mount is walked.
    """
    portion: list[FoundSound] = []
    began = time.monotonic()
    for some in _chunks(found, _FOUND_AT_A_TIME):
        portion += some
        is_full = len(portion) + _FOUND_AT_A_TIME > sounds.LOOK_UP_AT_ONCE
        if is_full or time.monotonic() - began > _PORTION_SECONDS:
            yield portion
            portion, began = [], time.monotonic()
    if portion:
        yield portion


def _chunks(found: Iterable[FoundSound], size: int) -> Iterator[list[FoundSound]]:
    iterator = iter(found)
    while chunk := list(islice(iterator, size)):
        yield chunk


def batch_size(connection: Connection, settings: Settings) -> int:
    """Return how many sounds make a batch of about a second's work; the settings' number at most.

    As long as the latest batches took, on whatever storage that was: over a slow mount a batch of
    a thousand would hold its worker for a minute, and cost as much again when that worker dies.
    """
    seconds = batch_metrics.seconds_per_sound(connection)
    if not seconds:
        return settings.batch_size
    return min(settings.batch_size, max(_LEAST_BATCH, round(_BATCH_SECONDS / seconds)))


def _serving_version(connection: Connection) -> str:
    from classifier.bundle.starter import starter_version

    return bundles.champion_version(connection) or starter_version()


def _write_full(
    connection: Connection,
    ingest_id: int,
    waiting: list[FoundSound],
    size: int,
    *,
    interactive: bool,
) -> tuple[int, list[FoundSound]]:
    """Write every full batch among the waiting; return how many sounds, and who still waits."""
    written = 0
    rest: list[FoundSound] = []
    for root, group in groupby(waiting, key=_ROOT):
        for part in _chunks(group, size):
            if len(part) < size:
                rest.extend(part)
                continue
            entries = _entries(part)
            ledger.add_batch(connection, ingest_id, root, entries, interactive=interactive)
            written += len(part)
    return written, rest


def add_batches(
    connection: Connection,
    ingest_id: int,
    found: Iterable[FoundSound],
    settings: Settings,
    *,
    interactive: bool = False,
) -> None:
    """Write all of these sounds to the ledger, in batches of one root each.

    Parameters
    ----------
    found : iterable of FoundSound
        Those of one root beside each other.
    interactive : bool
        Whether somebody waits for them.
    """
    size = batch_size(connection, settings)
    for root, group in groupby(found, key=_ROOT):
        for part in _chunks(group, size):
            ledger.add_batch(connection, ingest_id, root, _entries(part), interactive=interactive)


def _entries(part: Iterable[FoundSound]) -> list[BatchEntry]:
    return [BatchEntry(sound.path, sound.pack, sound.vendor) for sound in part]


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


def worth_a_visit(
    connection: Connection,
    chunk: Iterable[FoundSound],
    reclassify: Reclassify | None = None,
    champion: str | None = None,
) -> tuple[list[FoundSound], int]:
    """Return the sounds whose rows are missing or out of date, and how many skipped ones failed.

    Parameters
    ----------
    reclassify : Reclassify, optional
        Which of the others to visit too.
    champion : str, optional
        The model that serves, where `reclassify` asks for it.
    """
    fresh: list[FoundSound] = []
    failed = 0
    for root, group in groupby(chunk, key=_ROOT):
        found = list(group)
        rows = sounds.known(connection, root, [sound.path for sound in found])
        for sound in found:
            row = rows.get(sound.path)
            if row is None or _is_stale(sound, row) or _again(row, reclassify, champion):
                fresh.append(sound)
            else:
                failed += row.status is SoundStatus.FAILED
    return fresh, failed


def _is_stale(sound: FoundSound, row: KnownSound) -> bool:
    # A row without a size is of something that could not be opened: missing, forbidden, no file.
    # Nothing of it can be compared, another look is cheap, and its owner may have mended it.
    if row.file_size_bytes is None:
        return True
    return (sound.file_size_bytes, sound.mtime_ns) != (row.file_size_bytes, row.mtime_ns)


def _again(row: KnownSound, reclassify: Reclassify | None, champion: str | None) -> bool:
    if reclassify is None:
        return False
    if reclassify.below is not None:
        return row.confidence is not None and row.confidence < reclassify.below
    if reclassify.older_model_only:
        return row.model_version is not None and row.model_version != champion
    return True
