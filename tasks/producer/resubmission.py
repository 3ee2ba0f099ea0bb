"""Writing the failed sounds to the ledger again, as a new ingest."""

from collections.abc import Callable
from itertools import groupby

from sqlalchemy import Engine

from classifier.errors import READER_FAILURES, ErrorCode
from db.queue import ledger
from db.queue.batch import BatchEntry
from db.results import sounds
from db.results.sounds import FailedSound
from tasks.producer.notifier import Notifier
from tasks.producer.submission import Submission
from workers.library_roots import ABSOLUTE_ROOT
from workers.settings import Settings


def submit_failed(
    *,
    settings: Settings,
    database: Engine,
    code: ErrorCode | None = None,
    on_progress: Callable[[Submission], None] = lambda _: None,
) -> Submission:
    """Write the failed sounds to the ledger again.

    A sound with an error code in `READER_FAILURES` may crash its reader again. Each gets a suspect
    batch of its own, so that a crash affects no other sound.

    - `code`: only sounds that failed with this one.
    - `on_progress`: called after each commit.
    """
    source = "retry --failed" + (f" --code {code}" if code else "")
    with database.begin() as connection:
        state = Submission(ledger.open_ingest(connection, source))
    notifier = Notifier(settings, database)
    last_id, is_last = 0, False
    while not is_last:
        with database.begin() as connection:
            failed = sounds.failed_after(connection, last_id, code=code, limit=settings.batch_size)
            is_last = len(failed) < settings.batch_size
            last_id = failed[-1].id if failed else last_id
            if not settings.reads_absolute_paths:  # no worker could read them
                failed = [sound for sound in failed if sound.root != ABSOLUTE_ROOT]
            for (root, suspect), group in groupby(sorted(failed, key=_kind), key=_kind):
                entries = [BatchEntry(sound.path, sound.pack, sound.vendor) for sound in group]
                for batch in [[entry] for entry in entries] if suspect else [entries]:
                    ledger.add_batch(
                        connection, state.ingest_id, root, batch, seen=False, suspect=suspect
                    )
            state.enqueued += len(failed)
            state.found = state.enqueued
            state.record(connection, submitted=is_last)
        state.broker_away = notifier.notify()
        on_progress(state)
    return state


def _kind(sound: FailedSound) -> tuple[str, bool]:
    return sound.root, _is_suspect(sound)


def _is_suspect(sound: FailedSound) -> bool:
    return sound.error_code in READER_FAILURES
