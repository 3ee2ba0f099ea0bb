"""One batch: claim it, read its headers, run the model once, write its rows, all or nothing."""

import logging
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from classifier.headers.reader import HeaderReading
from db.errors import plain
from db.queue import ledger
from db.queue.batch import ClaimedBatch
from db.reporting import batch_metrics
from db.reporting.batch_metrics import BatchTimes
from db.results import sounds
from db.results.sounds import Failure, Prediction, SoundResult
from workers.context import WorkContext
from workers.faults import Fault
from workers.library_roots import LibraryRoot, OpenRoot
from workers.predictions import answers, question, sound_attributes
from workers.reading.sound_headers import SoundReading, read_headers
from workers.recovery.failure_policy import Ending, HandBack, Leave, carry_out, decide
from workers.settings import Settings

if TYPE_CHECKING:
    from classifier.model.classifier import Classifier
    from classifier.names.pack_mates import PackMates

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """How one batch ended.

    Attributes
    ----------
    classified, failed : int
        Sounds by outcome.
    """

    batch_id: int
    ingest_id: int
    classified: int
    failed: int


class LeaseLostError(Exception):
    """The lease of a batch expired while this worker worked on it."""


def classify_batch(batch_id: int, context: WorkContext) -> BatchOutcome | None:
    """Classify one queued batch.

    Returns
    -------
    BatchOutcome or None
        None when another process has or had the batch (a second copy of a message), or when the
        lease was lost on the way; in both cases nothing was written.

    Raises
    ------
    Exception
        A fault that is not a file's (`workers.faults`). The batch went back to the ledger, or will
        when the database answers again.
    """
    # Before the claim: a model that cannot be loaded must not count against any sound.
    classifier = context.model.current(context.database)
    started = time.monotonic()
    with context.database.begin() as connection:
        claimed = ledger.claim(
            connection,
            batch_id,
            token=uuid.uuid4().hex,
            worker=context.marker.worker,
            lease_seconds=context.settings.lease_seconds,
        )
    if claimed is None:
        log.info(
            "batch %d: not to be claimed, somebody else has or had it",
            batch_id,
            extra={"batch": batch_id},
        )
        return None
    # The pool's timer started before the claim, which may have had to wait for the database.
    left_seconds = context.time_limit_seconds - (time.monotonic() - started)
    context.marker.begin(batch_id, time_limit_seconds=left_seconds)
    outcome = None
    try:
        outcome = _classify_claimed(claimed, classifier, context)
    except LeaseLostError:
        log.warning(
            "batch %d: the lease of %.0f s ran out before its end; whoever has it now writes it",
            batch_id,
            context.settings.lease_seconds,
            extra={"batch": batch_id},
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
    if isinstance(error, Exception):
        cause = Fault.of(error)
    # The pool sends SIGTERM a tenth of a second before it kills a child for its time limit, and
    # also when a worker is stopped in a hurry. The time used tells the two apart.
    elif isinstance(error, SystemExit) and used_seconds > 0.9 * context.time_limit_seconds:
        cause = Ending.BEING_KILLED
    else:
        cause = Ending.STOPPED
    decision = decide(
        cause,
        in_process=context.settings.in_process,
        transient_failures=claimed.transient_failures,
    )
    if isinstance(decision, Leave):
        return
    marker, extra = context.marker, {"batch": claimed.id}
    try:
        with context.database.begin() as connection:
            carry_out(
                decision,
                connection,
                claimed,
                context.settings,
                index=marker.index,
                detail=plain(error),
            )
    except Exception as second:
        log.warning("batch %d cannot be given back now: %s", claimed.id, plain(second), extra=extra)
        if isinstance(decision, HandBack):
            try:
                marker.hand_back_later()
            except OSError as third:
                reason = plain(third)
                log.warning(
                    "batch %d returns when its lease ends: %s", claimed.id, reason, extra=extra
                )
    marker.clear()


def _classify_claimed(
    claimed: ClaimedBatch, classifier: "Classifier", context: WorkContext
) -> BatchOutcome:
    started = time.perf_counter()
    with LibraryRoot.named(claimed.root, context.settings).opened() as root:
        readings = _read(claimed, root, context)
        read = time.perf_counter()
        pack_mates = _pack_mates(claimed, root, readings, context)
    listed = time.perf_counter()
    results = _results(claimed, readings, pack_mates, classifier, context.settings)
    predicted = time.perf_counter()
    classified = sum(isinstance(result.outcome, Prediction) for result in results)
    failed = len(results) - classified
    counts = {"classified": classified, "failed": failed}
    entries, token = claimed.entries, claimed.token
    with context.database.begin() as connection:
        if not ledger.finish(connection, claimed.id, token=token, entries=entries, **counts):
            raise LeaseLostError
        sounds.save(connection, results)
        times = BatchTimes(
            waited_seconds=claimed.waited_seconds,
            headers_seconds=read - started,
            folders_seconds=listed - read,
            model_seconds=predicted - listed,
            database_seconds=time.perf_counter() - predicted,
        )
        batch_metrics.save(connection, claimed.id, times, results)
    log.info(
        "batch %d of ingest %d: %d classified, %d failed; headers %.0f ms, folders %.0f ms, "
        "model %.0f ms, database %.0f ms; model %s",
        claimed.id,
        claimed.ingest_id,
        classified,
        failed,
        1e3 * times.headers_seconds,
        1e3 * times.folders_seconds,
        1e3 * times.model_seconds,
        1e3 * times.database_seconds,
        classifier.version,
        extra={
            "ingest": claimed.ingest_id,
            "batch": claimed.id,
            "model_version": classifier.version,
            **counts,
            "headers_seconds": round(times.headers_seconds, 4),
            "folders_seconds": round(times.folders_seconds, 4),
            "model_seconds": round(times.model_seconds, 4),
            "database_seconds": round(times.database_seconds, 4),
        },
    )
    return BatchOutcome(claimed.id, claimed.ingest_id, classified, failed)


def _read(claimed: ClaimedBatch, root: OpenRoot, context: WorkContext) -> list[SoundReading]:
    marker = context.marker
    paths = [entry.path for entry in claimed.entries]
    readings = read_headers(root, paths, lambda index: marker.read(claimed.id, index))
    # Not when an error was raised: the marker then tells at which sound.
    marker.stop_reading(claimed.id)
    return readings


def _pack_mates(
    claimed: ClaimedBatch, root: OpenRoot, readings: list[SoundReading], context: WorkContext
) -> list["PackMates | None"]:
    """Return the pack-mates of those sounds that were read, in order."""
    paths = [
        entry.path
        for entry, read in zip(claimed.entries, readings, strict=True)
        if isinstance(read.outcome, HeaderReading)
    ]
    return context.folders.pack_mates(root, paths, folder_words=context.settings.folder_words)


def _results(
    claimed: ClaimedBatch,
    readings: list[SoundReading],
    pack_mates: list["PackMates | None"],
    classifier: "Classifier",
    settings: Settings,
) -> list[SoundResult]:
    of_each = iter(pack_mates)
    questions = [
        question(entry.path, read.outcome.header, next(of_each), folder_words=settings.folder_words)
        for entry, read in zip(claimed.entries, readings, strict=True)
        if isinstance(read.outcome, HeaderReading)
    ]
    predictions = iter(answers(classifier, questions))
    results = []
    for entry, read in zip(claimed.entries, readings, strict=True):
        outcome: Prediction | Failure
        if isinstance(read.outcome, HeaderReading):
            header, note = read.outcome.header, read.outcome.note
            outcome = next(predictions)
            known = sound_attributes(entry.path, header, settings)
        else:
            header, note, known = None, None, None
            outcome = Failure(read.outcome.code, read.outcome.message)
        results.append(
            SoundResult(
                root=claimed.root,
                path=entry.path,
                pack=entry.pack,
                vendor=entry.vendor,
                file_size_bytes=read.file_size_bytes,
                mtime_ns=read.mtime_ns,
                header=header,
                outcome=outcome,
                note=note,
                attributes=known,
            )
        )
    return results
