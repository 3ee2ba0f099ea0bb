"""What happens to a batch that was not finished: `decide` is pure, `carry_out` writes the ledger.

A file gets an error row after `db.queue.recovery.SOLO_ATTEMPTS` failed attempts alone.
"""

import os
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from sqlalchemy import Connection

from classifier.errors import ErrorCode
from classifier.files.paths import path_bytes
from classifier.files.safe_open import mtime_ns
from db.queue import ledger, recovery
from db.queue.batch import ClaimedBatch, claimed_entries
from db.queue.recovery import AttemptOutcome
from db.results import sounds
from db.results.sounds import Failure
from workers.faults import Fault
from workers.library_roots import LibraryRoot
from workers.recovery.unwritable_rows import error_row, shown_reason
from workers.settings import ConfigurationError, Settings

_MESSAGES: Final = {
    ErrorCode.CRASHED_READER: "reading it crashed the reader, also when it was read alone",
    ErrorCode.TIMED_OUT: "reading it exceeded the time limit",
    ErrorCode.INTERNAL_ERROR: "an internal error of cratesort, also when it was processed alone",
}


class Ending(Enum):
    """How a process ended, or is about to end, with a batch in progress."""

    #: It received a request to stop, or was killed on purpose.
    STOPPED = "stopped"
    #: Its time limit is over, and the pool kills it within a tenth of a second.
    BEING_KILLED = "being killed"
    #: It was killed for exceeding its time limit.
    TIMED_OUT = "timed out"
    #: It died for another reason, or its lease expired.
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class HandBack:
    """Return the batch with no attempt counted: at once, or after a back-off."""

    after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class CountAttempt:
    """Count an attempt and requeue smaller parts; after a file's last solo try, close its batch."""

    code: ErrorCode


@dataclass(frozen=True, slots=True)
class Leave:
    """Change nothing: the supervisor returns the batch, or a sweep when its lease expires."""


Decision: TypeAlias = HandBack | CountAttempt | Leave


def backoff_seconds(transient_failures: int) -> float:
    """Return how long a batch waits after this many earlier transient failures in a row."""
    return min(float(5 * 2 ** min(transient_failures, 10)), ledger.LONGEST_BACKOFF_SECONDS)


def decide(
    cause: Fault | Ending,
    *,
    was_reading: bool = False,
    in_process: bool = False,
    transient_failures: int = 0,
) -> Decision:
    """Decide what to do with a batch that was not finished.

    - `was_reading`: a known file was being read at the end.
    - `in_process`: a user sees the error, and their next run tries again at once.
    """
    match cause:
        case Ending.STOPPED:
            return HandBack()
        case Ending.BEING_KILLED:
            return Leave()
        case Ending.CRASHED:
            return CountAttempt(ErrorCode.CRASHED_READER)
        case Ending.TIMED_OUT if was_reading:
            return CountAttempt(ErrorCode.TIMED_OUT)
        case Ending.TIMED_OUT:  # the database or the machine took the time, not a file
            return HandBack(backoff_seconds(transient_failures))
        case Fault.BUG:
            return CountAttempt(ErrorCode.INTERNAL_ERROR)
        # A file's own fault is a row by now; one that was raised elsewhere is this host's.
        case Fault.TRANSIENT | Fault.OPERATOR | Fault.FILE:
            return HandBack(0.0 if in_process else backoff_seconds(transient_failures))


def carry_out(
    decision: Decision,
    connection: Connection,
    batch: ClaimedBatch,
    settings: Settings,
    *,
    index: int | None = None,
    detail: str = "",
) -> AttemptOutcome | None:
    """Carry a decision out, in a transaction; return None when nothing was changed.

    - `index`: the file that was being read, which gets a batch of its own; the others go back.
    - `detail`: why the batch came back; added to the message of an error row.
    """
    reason = detail
    outcome: AttemptOutcome | None = None
    match decision:
        case Leave():
            return None
        case HandBack(after_seconds):
            if recovery.hand_back(
                connection, batch.id, token=batch.token, after_seconds=after_seconds
            ):
                outcome = AttemptOutcome.RETURNED
        case CountAttempt(code):
            reason = f"{_MESSAGES[code]}: {detail}" if detail else _MESSAGES[code]
            if index is None:
                outcome = recovery.count_attempt(connection, batch.id, token=batch.token)
            else:
                outcome = recovery.isolate(connection, batch.id, token=batch.token, index=index)
            if outcome is AttemptOutcome.GIVE_UP:
                _close(connection, batch, settings, Failure(code, reason))
                return outcome
    if outcome is not None and reason:
        recovery.record_reason(connection, batch.id, shown_reason(reason))
    return outcome


def _close(
    connection: Connection, batch: ClaimedBatch, settings: Settings, failure: Failure
) -> None:
    """Write an error row for each sound of a batch and close it."""
    rows = []
    entries = claimed_entries(connection, batch.id, token=batch.token)
    for entry in entries:
        # Recorded, so that the file is tried again only after it was replaced.
        size, mtime = _size_and_mtime(batch.root, entry.path, settings)
        rows.append(error_row(batch.root, entry, failure, file_size_bytes=size, mtime_ns=mtime))
    counts = {"classified": 0, "failed": len(rows)}
    if ledger.finish(connection, batch.id, token=batch.token, entries=entries, **counts):
        sounds.save(connection, rows)


def _size_and_mtime(
    root: str, path: str, settings: Settings
) -> tuple[int, int] | tuple[None, None]:
    try:
        folder = LibraryRoot.named(root, settings).folder
        status = os.stat(os.path.join(folder, path_bytes(path)), follow_symlinks=False)
    except (OSError, ValueError, ConfigurationError):
        return None, None
    return status.st_size, mtime_ns(status)
