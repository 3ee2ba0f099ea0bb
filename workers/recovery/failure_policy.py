"""Blame: a batch that ended its holder goes back in parts, or is closed with a typed row.

Used by the worker itself, the supervisor, a sweep and the next run in one process.
"""

import os
from typing import Final

from sqlalchemy import Connection

from classifier.errors import ErrorCode
from classifier.files.paths import path_bytes
from classifier.files.safe_open import mtime_ns
from db.queue import ledger, recovery
from db.queue.batch import ClaimedBatch
from db.results import sounds
from db.results.sounds import Failure, SoundResult
from workers.settings import ConfigurationError, Settings

_REASONS: Final = {
    ErrorCode.CRASHED_READER: "reading it ended the reader, again and alone",
    ErrorCode.TIMED_OUT: "reading it did not end within the time limit",
    ErrorCode.INTERNAL_ERROR: "cratesort itself failed on it, again and alone",
}


def blame(
    connection: Connection,
    claimed: ClaimedBatch,
    settings: Settings,
    code: ErrorCode,
    detail: str = "",
    *,
    index: int | None = None,
) -> recovery.AttemptOutcome | None:
    """Return a batch that failed without excuse, or close it with a typed row when it is hopeless.

    Parameters
    ----------
    connection : Connection
        In a transaction.
    code : ErrorCode
        `CRASHED_READER`, `TIMED_OUT` or `INTERNAL_ERROR`.
    detail : str
        Added to the row's message.
    index : int, optional
        The sound that was being read, where that is known: the others go back without it.

    Returns
    -------
    AttemptOutcome or None
        None when the lease was lost already.
    """
    if index is None:
        verdict = recovery.count_attempt(connection, claimed.id, token=claimed.token)
    else:
        verdict = recovery.isolate(connection, claimed.id, token=claimed.token, index=index)
    if verdict is recovery.AttemptOutcome.GIVE_UP:
        close_hopeless(connection, claimed, settings, code, detail)
    return verdict


def close_hopeless(
    connection: Connection,
    claimed: ClaimedBatch,
    settings: Settings,
    code: ErrorCode,
    detail: str = "",
) -> None:
    """Write a typed failure for each sound of a batch and close it."""
    message = f"{_REASONS[code]}: {detail}" if detail else _REASONS[code]
    rows = []
    for entry in claimed.entries:
        status = _look_at(claimed.root, entry.path, settings)
        rows.append(
            SoundResult(
                root=claimed.root,
                path=entry.path,
                pack=entry.pack,
                vendor=entry.vendor,
                # Known, so that the file is tried again when it was replaced, and only then.
                file_size_bytes=None if status is None else status.st_size,
                mtime_ns=None if status is None else mtime_ns(status),
                header=None,
                outcome=Failure(code, message),
            )
        )
    held = ledger.finish(
        connection,
        claimed.id,
        token=claimed.token,
        classified=0,
        failed=len(rows),
        entries=claimed.entries,
    )
    if held:
        sounds.save(connection, rows)


def _look_at(root: str, path: str, settings: Settings) -> os.stat_result | None:
    """Return a file's size and time without opening it, where that can be had."""
    try:
        folder = os.fsencode(settings.root_path(root))
        return os.stat(os.path.join(folder, path_bytes(path)), follow_symlinks=False)
    except (OSError, ValueError, ConfigurationError):
        return None
