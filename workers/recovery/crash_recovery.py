"""Returning batches that processes of this host did not finish, found by their crash markers.

A dead process's marker names its batch and the file it was reading: that file gets a batch of its
own, and the others go back without it. A process that continues, but could not hand its batch back
because the database was unreachable, leaves a marker too (`CrashMarker.hand_back_later`).

Any number of processes may do this at once; the first one wins. Batches of dead hosts
return when their lease expires (`workers.recovery.expired_leases`).
"""

import logging
import os
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from db.queue import recovery
from workers.faults import Fault
from workers.logging_setup import BatchLogger
from workers.recovery.crash_marker import (
    MarkerContent,
    claim_dead_marker,
    markers_in,
    read_marker,
)
from workers.recovery.failure_policy import Ending, carry_out, decide
from workers.settings import Settings

log = logging.getLogger(__name__)

#: The pool's timer starts slightly before ours, so a crash this close to the deadline is treated as
#: a timeout.
_HEAD_START_SECONDS: Final = 0.5


def recover_batches(
    database: Engine, settings: Settings, *, of_parent: int | None = None, stopped: bool = False
) -> int:
    """Return the batches of this host's dead processes; their markers stay if that fails.

    - `of_parent`: skip the children of other parents that are alive.
    - `stopped`: the processes were killed on purpose, so that no attempt counts.

    Returns how many markers were handled; if any, batches may wait to be published.
    """
    handled = 0
    for path in markers_in(settings.running_folder):
        if of_parent is not None and _is_of_another(path, of_parent):
            continue
        with claim_dead_marker(path) as marker:
            if marker is None:
                continue
            try:
                _return_batches(marker, database, settings, stopped=stopped)
            except Exception as error:
                if Fault.of(error) is Fault.TRANSIENT:
                    raise
                # A bug with one marker must not stop the others; its batch returns with its lease.
                log.exception(
                    "requeuing the batch of process %d failed; retried when its lease expires",
                    marker.pid,
                )
            handled += 1
    return handled


def _is_of_another(path: Path, parent_pid: int) -> bool:
    marker = read_marker(path)
    return (
        marker is not None
        and not marker.awaits_hand_back
        and marker.parent_pid not in (0, parent_pid)
        and _process_is_alive(marker.parent_pid)
    )


def _process_is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another user's
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return True  # not on Linux
    return state not in "ZX"


def _return_batches(
    marker: MarkerContent, database: Engine, settings: Settings, *, stopped: bool
) -> None:
    if stopped or marker.awaits_hand_back:
        ending = Ending.STOPPED
    elif marker.overdue_seconds() > -_HEAD_START_SECONDS:
        ending = Ending.TIMED_OUT
    else:
        ending = Ending.CRASHED
    with database.begin() as connection:
        held = recovery.claimed_by_worker(connection, marker.worker)
        if not held and ending is Ending.CRASHED and not settings.in_process:
            log.warning(
                "worker process %d died while it was idle; no batch is affected", marker.pid
            )
        for batch in held:
            index = marker.index if marker.batch_id == batch.id else None
            decision = decide(
                ending,
                was_reading=index is not None,
                transient_failures=batch.transient_failures,
            )
            outcome = carry_out(decision, connection, batch, settings, index=index)
            if marker.awaits_hand_back and settings.in_process:
                continue  # the user has seen the reason
            if marker.awaits_hand_back:
                event = "requeued now that the database answers"
            else:
                how = "exceeded its time limit" if ending is Ending.TIMED_OUT else "died"
                event = f"its worker process {marker.pid} {how}; {outcome}"
            BatchLogger(log, batch.id).warning("%s", event)
