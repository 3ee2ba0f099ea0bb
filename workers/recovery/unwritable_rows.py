"""Rows that the database refuses: each becomes an error row, and the other rows are kept.

A number may be too large for its column, or a text may contain a character no column can store.
"""

import logging
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Engine

from classifier.errors import ErrorCode
from classifier.files.paths import printable
from db.errors import plain
from db.queue.batch import BatchEntry
from db.results import sounds
from db.results.sounds import Failure, SoundResult
from workers.faults import Fault

log = logging.getLogger(__name__)

_REASON_CHARACTERS: Final = 1000


def storable(text: str) -> str:
    r"""Return a text that any database takes: a NUL and half a surrogate pair as ``\xNN``."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def shown_reason(reason: str) -> str:
    """Return a reason as it is stored: printable, and not too long."""
    return storable(printable(reason))[:_REASON_CHARACTERS]


def error_row(
    root: str,
    entry: BatchEntry,
    failure: Failure,
    *,
    file_size_bytes: int | None,
    mtime_ns: int | None,
) -> SoundResult:
    """Return an error row that no database refuses: it has only the required values."""
    path, pack, vendor = map(storable, entry)
    failure = Failure(failure.code, shown_reason(failure.message))
    return SoundResult(root, path, pack, vendor, file_size_bytes, mtime_ns, None, failure)


def without_unwritable(database: Engine, results: Sequence[SoundResult]) -> list[SoundResult]:
    """Return results with an error row in place of each that the database refuses.

    To find these, the rows are written in a transaction that is rolled back. Raises the database's
    error if no row is the cause: an error row is refused too, or the database does not answer.
    """
    with database.connect() as connection, connection.begin() as trial:
        try:
            return _without_unwritable(connection, list(results))
        finally:
            trial.rollback()


def _without_unwritable(connection: Connection, results: list[SoundResult]) -> list[SoundResult]:
    refusal = _refusal(connection, results)
    if refusal is None:
        return results
    if len(results) > 1:
        half = len(results) // 2
        return [
            *_without_unwritable(connection, results[:half]),
            *_without_unwritable(connection, results[half:]),
        ]
    (result,) = results
    reason = f"the database refused its row: {plain(refusal)}"
    replacement = error_row(
        result.root,
        BatchEntry(result.path, result.pack, result.vendor),
        Failure(ErrorCode.INTERNAL_ERROR, reason),
        file_size_bytes=result.file_size_bytes,
        mtime_ns=result.mtime_ns,
    )
    if _refusal(connection, [replacement]) is not None:
        raise refusal
    log.error(
        "%s gets an error row: %s",
        shown_reason(result.path),
        shown_reason(reason),
        exc_info=refusal,
    )
    return [replacement]


def _refusal(connection: Connection, results: list[SoundResult]) -> Exception | None:
    savepoint = connection.begin_nested()
    try:
        sounds.save(connection, results)
    except Exception as error:
        if Fault.of(error) is not Fault.BUG:
            raise
        return error
    finally:
        savepoint.rollback()
    return None
