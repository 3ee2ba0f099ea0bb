"""Classifying a batch: claim it, read headers, run the model once, write all rows or none."""

import functools
import logging
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from classifier.errors import SoundError
from db.engine import reading, reset_connections
from db.errors import plain
from db.queue import ledger, root_names
from db.queue.batch import BatchEntry, ClaimedBatch, claimed_entries
from db.reporting import batch_metrics
from db.reporting.batch_metrics import BatchTimes
from db.results import sounds
from db.results.sounds import Failure, Prediction, SoundResult
from workers.context import WorkContext
from workers.errors import LibraryRootAwayError
from workers.faults import Fault
from workers.library_roots import LibraryRoot, OpenRoot
from workers.logging_setup import BatchLogger
from workers.reading.host_faults import HOST_TRIES, folders_are_gone, host_fault
from workers.reading.sound_headers import SoundReading, read_headers
from workers.recovery.failure_policy import Ending, HandBack, Leave, carry_out, decide
from workers.recovery.unwritable_rows import without_unwritable
from workers.serving.predictions import model_input, predict, sound_attributes
from workers.settings import Settings

if TYPE_CHECKING:
    from classifier.model.classifier import Classifier

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class BatchOutcome:
    """How many sounds of a batch were classified, and how many failed, by error code."""

    classified: int
    errors: Counter[str]

    @property
    def failed(self) -> int:
        """How many sounds failed."""
        return self.errors.total()

    def __repr__(self) -> str:
        """Return what the log contains, and what Flower shows as the task's result."""
        reasons = ", ".join(f"{code} {count}" for code, count in self.errors.most_common())
        return f"{self.classified} classified, {self.failed} failed{reasons and f': {reasons}'}"


class LeaseLostError(Exception):
    """The lease of a batch expired while this worker worked on it."""


def classify_batch(batch_id: int, context: WorkContext) -> BatchOutcome | None:
    """Classify one queued batch; raise every error that is not a file's (`workers.faults`).

    Returns None, with nothing written, if another process has or had the batch (its message was
    delivered twice), or if the lease expired meanwhile. After an error the batch was returned to
    the ledger, or will be when the database answers again.
    """
    # Before the claim: a model that cannot be loaded must not count against any sound.
    classifier = context.model.current(context.database)
    lease_seconds = context.settings.lease_seconds
    batch_log = BatchLogger(log, batch_id)
    started = time.monotonic()
    with context.database.begin() as connection:
        claimed = ledger.claim(
            connection,
            batch_id,
            token=uuid.uuid4().hex,
            worker=context.marker.worker,
            lease_seconds=lease_seconds,
        )
    if claimed is None:
        batch_log.info("skipped: another worker has already claimed or finished it")
        return None
    # The pool's timer started before the claim, which may have had to wait for the database.
    left_seconds = context.time_limit_seconds - (time.monotonic() - started)
    context.marker.begin(batch_id, time_limit_seconds=left_seconds)
    outcome = None
    try:
        with reading(context.database) as connection:
            entries = claimed_entries(connection, batch_id, token=claimed.token)
        if not entries:
            raise LeaseLostError
        outcome = _classify_claimed(claimed, entries, classifier, context)
    except LeaseLostError:
        batch_log.warning(
            "results discarded: its lease of %.0f s expired before it was finished; another worker "
            "processes it",
            lease_seconds,
        )
    except BaseException as error:
        _return_batch(claimed, context, error, used_seconds=time.monotonic() - started)
        raise
    context.marker.clear()
    return outcome


def _return_batch(
    claimed: ClaimedBatch, context: WorkContext, error: BaseException, *, used_seconds: float
) -> None:
    cause: Fault | Ending
    if isinstance(error, Exception) or not context.is_stopping():
        cause = Fault.of(error)
    # The pool sends SIGTERM a tenth of a second before it kills a child for its time limit, and
    # also when a worker is stopped at once. The time used distinguishes the two.
    elif isinstance(error, SystemExit) and used_seconds > 0.9 * context.time_limit_seconds:
        cause = Ending.BEING_KILLED
    else:
        cause = Ending.STOPPED
    settings, marker, batch_log = context.settings, context.marker, BatchLogger(log, claimed.id)
    decision = decide(
        cause, in_process=settings.in_process, transient_failures=claimed.transient_failures
    )
    if isinstance(decision, Leave):
        return
    index, detail = marker.index, plain(error)
    if settings.in_process or not isinstance(error, Exception):
        # In one process after any error: a library may have turned an interrupt into it.
        reset_connections(context.database)
    try:
        with context.database.begin() as connection:
            carry_out(decision, connection, claimed, settings, index=index, detail=detail)
    except Exception as second:
        if not settings.in_process:  # there the user reads the error itself
            batch_log.warning(
                "requeuing failed: %s; retried when the database answers or its lease expires",
                plain(second),
            )
        if isinstance(decision, HandBack):
            try:
                marker.hand_back_later()
            except OSError as third:
                if settings.in_process:
                    # This process ends with the error; the next run requeues the batch.
                    marker.hand_back_after_exit()
                    return
                batch_log.warning(
                    "no crash marker: %s; it is requeued when its lease expires", plain(third)
                )
    marker.clear()


def _classify_claimed(
    claimed: ClaimedBatch,
    entries: list[BatchEntry],
    classifier: "Classifier",
    context: WorkContext,
) -> BatchOutcome:
    settings, marker = context.settings, context.marker
    folder_words = settings.folder_words
    paths = [entry.path for entry in entries]
    started = time.perf_counter()
    with LibraryRoot.named(claimed.root, settings).opened() as root:
        readings = read_headers(root, paths, lambda index: marker.begin_reading(claimed.id, index))
        # Not after an error: the marker then still has the index of the failed sound.
        marker.stop_reading(claimed.id)
        if claimed.transient_failures < HOST_TRIES:
            _require_storage(root, claimed, paths, readings, context)
        are_gone = claimed.seen and folders_are_gone(root, paths, readings)
        read = time.perf_counter()
        read_files = [
            (path, reading.outcome)
            for path, reading in zip(paths, readings, strict=True)
            if not isinstance(reading.outcome, SoundError)
        ]
        pack_mates = context.folders.pack_mates(
            root, [path for path, _ in read_files], folder_words=folder_words
        )
    listed = time.perf_counter()
    inputs = [
        model_input(
            path, outcome.header, of_folder, folder_words=folder_words, is_midi=outcome.is_midi
        )
        for (path, outcome), of_folder in zip(read_files, pack_mates, strict=True)
    ]
    results = _results(claimed, entries, readings, predict(classifier, inputs), settings)
    seconds = {
        "headers_seconds": read - started,
        "folders_seconds": listed - read,
        "model_seconds": time.perf_counter() - listed,
    }
    write = functools.partial(
        _write, claimed, entries, context, seconds=seconds, only_known=are_gone
    )
    try:
        outcome = write(results)
    except LeaseLostError:
        raise
    except Exception as error:
        if Fault.of(error) is not Fault.BUG:
            raise
        outcome = write(without_unwritable(context.database, results))
    log.info(
        "batch %d of ingest %d: %r; headers %.0f ms, folders %.0f ms, "
        "model %.0f ms, database %.0f ms; model %s",
        claimed.id,
        claimed.ingest_id,
        outcome,
        *(1e3 * value for value in seconds.values()),
        classifier.version,
        extra={
            "ingest": claimed.ingest_id,
            "batch": claimed.id,
            "model_version": classifier.version,
            "classified": outcome.classified,
            "failed": outcome.failed,
            **{name: round(value, 4) for name, value in seconds.items()},
        },
    )
    return outcome


def _write(
    claimed: ClaimedBatch,
    entries: list[BatchEntry],
    context: WorkContext,
    results: list[SoundResult],
    *,
    seconds: dict[str, float],
    only_known: bool,
) -> BatchOutcome:
    """Write a batch's rows and close it, or raise LeaseLostError; add the time to `seconds`."""
    started = time.perf_counter()
    errors = Counter(
        str(result.outcome.code) for result in results if isinstance(result.outcome, Failure)
    )
    outcome = BatchOutcome(len(results) - errors.total(), errors)
    counts = {"classified": outcome.classified, "failed": outcome.failed}
    were_read = [
        entry
        for entry, result in zip(entries, results, strict=True)
        if not isinstance(result.outcome, Failure)
    ]
    with context.database.begin() as connection:
        if not ledger.finish(
            connection,
            claimed.id,
            token=claimed.token,
            # The one that is kept identifies the library root later, so it should exist.
            entries=were_read or entries,
            **counts,
        ):
            raise LeaseLostError
        # `only_known`: a row that was moved or forgotten in the meantime is not created again.
        sounds.save(connection, results, only_known=only_known)
        seconds["database_seconds"] = time.perf_counter() - started
        times = BatchTimes(waited_seconds=claimed.waited_seconds, **seconds)
        batch_metrics.save(connection, claimed.id, times, results)
    return outcome


def _require_storage(
    root: OpenRoot,
    claimed: ClaimedBatch,
    paths: list[str],
    readings: list[SoundReading],
    context: WorkContext,
) -> None:
    """Raise LibraryRootAwayError if this host is the reason that the batch cannot be read."""

    def known() -> list[str]:
        with reading(context.database) as connection:
            return root_names.known_names(connection, claimed.root)

    fault = host_fault(root, paths, readings, seen=claimed.seen, known=known)
    if fault is not None:
        raise LibraryRootAwayError(fault)


def _results(
    claimed: ClaimedBatch,
    entries: list[BatchEntry],
    readings: list[SoundReading],
    predictions: list[Prediction],
    settings: Settings,
) -> list[SoundResult]:
    """Return a row for each sound; `predictions` are those of the sounds with a header."""
    remaining = iter(predictions)
    results = []
    for entry, sound in zip(entries, readings, strict=True):
        outcome: Prediction | Failure
        if isinstance(sound.outcome, SoundError):
            header, note, attributes = None, None, None
            outcome = Failure(sound.outcome.code, sound.outcome.message)
        else:
            header, note = sound.outcome.header, sound.outcome.note
            outcome = next(remaining)
            attributes = sound_attributes(entry.path, header, settings)
        results.append(
            SoundResult(
                root=claimed.root,
                path=entry.path,
                pack=entry.pack,
                vendor=entry.vendor,
                file_size_bytes=sound.file_size_bytes,
                mtime_ns=sound.mtime_ns,
                header=header,
                outcome=outcome,
                note=note,
                attributes=attributes,
            )
        )
    return results
