"""What processes of this host could not bring to an end: found in a folder, returned to the ledger.

Two kinds lie there. The *note* of a process that died (`workers.recovery.crash_marker`) says which
batch it had in hand and which file it was reading: the batch goes back at once without that file,
which is put into a batch of its own. An *IOU* is from a process that lives, but could not hand its
batch back because the database was away: that batch goes back without blame as soon as it can.

Whoever sees to them first wins; a lease that ends does the same later, and more slowly, for hosts
that are gone with all their processes (`workers.recovery.expired_leases`).
"""

import logging
import os
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from classifier.errors import ErrorCode
from db.queue import recovery
from db.queue.batch import ClaimedBatch
from workers.context import WorkContext
from workers.errors import backoff_seconds, is_worlds
from workers.recovery.crash_marker import MarkerContent, claim_dead_marker, markers_in, read_marker
from workers.recovery.deferred_handback import ious_in
from workers.recovery.failure_policy import blame

log = logging.getLogger(__name__)

#: The pool counts from when it hands a batch out, the note from when the child has it. A child that
#: the pool killed must not look like one that crashed for that; one that crashed so shortly before
#: its time was over is called timed out.
_HEAD_START_SECONDS: Final = 0.5


def recover_batches(
    context: WorkContext, *, of_parent: int | None = None, blameless: bool = False
) -> int:
    """Return to the ledger what lies in this host's folder.

    Parameters
    ----------
    of_parent : int, optional
        Leave the children of other parents to them, as long as those live.
    blameless : bool
        Whether the dead were ended on purpose, so that no file is suspected.

    Returns
    -------
    int
        Notes and IOUs that were seen to; where any were, batches may wait to be published.

    Raises
    ------
    sqlalchemy.exc.OperationalError
        The database is away; what lies there keeps.
    """
    folder = context.settings.running_folder
    seen_to = 0
    for iou in ious_in(folder):
        with context.database.begin() as connection:
            if recovery.hand_back(connection, iou.batch_id, token=iou.token):
                log.warning(
                    "batch %d: handed back, now that the database answers",
                    iou.batch_id,
                    extra={"batch": iou.batch_id},
                )
        iou.path.unlink(missing_ok=True)
        seen_to += 1
    for path in markers_in(folder):
        if of_parent is not None and _is_for_another(path, of_parent):
            continue
        with claim_dead_marker(path) as note:
            if note is not None:
                try:
                    _return_from(note, context, blameless=blameless)
                except Exception as error:
                    if is_worlds(error):
                        raise
                    # Ours, and loud; the lease will try once more, and the other notes go on.
                    log.exception("process %d left what cannot be returned", note.pid)
                seen_to += 1
    return seen_to


def _is_for_another(path: Path, parent_pid: int) -> bool:
    note = read_marker(path)
    return note is not None and note.parent_pid not in (0, parent_pid) and _lives(note.parent_pid)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's, and it is there
    try:
        # Dead, and its own parent has not looked yet.
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return True  # no Linux
    return state not in "ZX"


def _return_from(note: MarkerContent, context: WorkContext, *, blameless: bool) -> None:
    with context.database.begin() as connection:
        for batch in recovery.held_by_worker(connection, note.worker):
            if blameless:
                recovery.hand_back(connection, batch.id, token=batch.token)
                what = "handed back"
            else:
                what = str(_blame(connection, batch, note, context))
            log.warning(
                "batch %d: its process %d ended; it was %s",
                batch.id,
                note.pid,
                what,
                extra={"batch": batch.id},
            )


def _blame(
    connection: Connection, batch: ClaimedBatch, note: MarkerContent, context: WorkContext
) -> recovery.AttemptOutcome | None:
    timed_out = note.overdue_seconds() > -_HEAD_START_SECONDS
    code = ErrorCode.TIMED_OUT if timed_out else ErrorCode.CRASHED_READER
    index = note.index if note.batch_id == batch.id else None
    if timed_out and index is None:
        # It was not reading: the database, or the machine, took its time. No sound is to blame.
        recovery.hand_back(
            connection,
            batch.id,
            token=batch.token,
            after_seconds=backoff_seconds(batch.transient_failures),
        )
        return recovery.AttemptOutcome.RETURNED
    return blame(connection, batch, context.settings, code, index=index)
