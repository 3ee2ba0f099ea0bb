"""Trying again: the failed sounds of the table, written to the ledger as a new ingest."""

from collections.abc import Callable
from dataclasses import replace
from itertools import groupby

from sqlalchemy import Engine

from classifier.errors import GIVEN_UP, ErrorCode
from db.queue import ledger
from db.queue.batch import BatchEntry
from db.results import sounds
from db.results.sounds import FailedSound
from tasks.producer.notifier import Notifier
from tasks.producer.submission import Submission
from workers.settings import Settings


def submit_failed(
    *,
    settings: Settings,
    database: Engine,
    code: ErrorCode | None = None,
    on_progress: Callable[[Submission], None] = lambda _: None,
) -> Submission:
    """Write the sounds that have no category to the ledger again.

    A sound that was given up (`GIVEN_UP`) may end its reader as before: each goes into a batch of
    its own, as a suspect, so that no other pays for the attempt.

    Parameters
    ----------
    database : Engine
        At this version's tables.
    code : ErrorCode, optional
        Only sounds that failed with this one.
    on_progress : callable
        Called with the state so far after each commit.

    Returns
    -------
    Submission
        Its `found` and `enqueued` are the sounds that are tried again.
    """
    source = "retry --failed" + (f" --code {code}" if code else "")
    with database.begin() as connection:
        state = Submission(ledger.open_ingest(connection, source))
    notifier = Notifier(settings, database)
    last_id = 0
    while True:
        with database.begin() as connection:
            failed = sounds.failed_after(connection, last_id, code=code, limit=settings.batch_size)
            for root, group in groupby(sorted(failed, key=_by_root), key=lambda one: one.root):
                for suspect, part in groupby(group, key=_is_suspect):
                    entries = [BatchEntry(one.path, one.pack, one.vendor) for one in part]
                    for some in [[entry] for entry in entries] if suspect else [entries]:
                        ledger.add_batch(connection, state.ingest_id, root, some, suspect=suspect)
            done = state.enqueued + len(failed)
            state = replace(state, found=done, enqueued=done)
            ledger.record_progress(
                connection,
                state.ingest_id,
                found=done,
                ignored=0,
                skipped_unchanged=0,
                enqueued=done,
                submitted=len(failed) < settings.batch_size,
            )
        state = replace(state, broker_away=notifier.notify())
        on_progress(state)
        if len(failed) < settings.batch_size:
            return state
        last_id = failed[-1].id


def _is_suspect(sound: FailedSound) -> bool:
    return sound.error_code in GIVEN_UP


def _by_root(sound: FailedSound) -> tuple[str, bool, int]:
    return sound.root, _is_suspect(sound), sound.id
