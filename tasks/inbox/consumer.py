"""The intake: moves entries of the inbox to the ledger, round by round.

Each round takes entries, commits them to the ledger, acknowledges them and publishes batches. The
taken list in Redis is deleted only after the commit, so a crash repeats a round but never loses it.
In a repeated round unchanged sounds are skipped; at worst the others are classified twice.

After a crash, or an error that is not of Redis, the database or the host, entries are taken one by
one. An entry that fails `SOLO_ATTEMPTS` times alone goes to the dead list.
"""

import logging
from collections.abc import Sequence
from operator import attrgetter
from threading import Event
from typing import Final

from celery import Celery
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from classifier.categories import CATEGORIES
from db.errors import plain
from db.queue import ledger
from db.queue.recovery import SOLO_ATTEMPTS
from db.results.pending_labels import write_pending_labels
from db.states import LabelSource
from tasks.inbox.entries import NamedSound, bad_entry, read_entries
from tasks.inbox.redis_lists import DEAD_KEY, INBOX_KEY, BadEntry, Inbox, Taken
from tasks.producer.batching import BatchWriter
from tasks.producer.locator import FoundSound, Locator
from tasks.producer.unchanged import compare_with_rows
from workers.celery_ext.dispatch import dispatch
from workers.faults import BROKER_AWAY, Fault
from workers.recovery.crash_marker import new_worker_name
from workers.settings import Settings

log = logging.getLogger(__name__)

#: The pause between rounds: short for a producer, but long enough to collect single paths.
ROUND_SECONDS: Final = 0.25

#: Most entries of a round; its bytes are limited to `redis_lists.ROUND_BYTES` and one entry.
MOST_ENTRIES: Final = 1000

#: The pause between two tries while Redis or the database is unreachable.
AGAIN_SECONDS: Final = 1.0

#: After this a new ingest is opened; `status` shows the latest ten.
INGEST_SECONDS: Final = 24 * 60 * 60

#: The `labelled_by` of labels from the inbox.
LABELLED_BY: Final = "inbox"

_place: Final = attrgetter("root", "path")


class Intake:
    """One consumer of the inbox; there may be several, on any hosts."""

    def __init__(self, settings: Settings, app: Celery, database: Engine) -> None:
        if settings.broker_url is None:
            raise ValueError("expected settings with a broker: the inbox is in Redis")
        self._settings = settings
        self._app = app
        self._database = database
        self._locator = Locator(settings)
        self._name = new_worker_name()
        self._inbox = Inbox(settings.broker_url.get_secret_value(), self._name)
        self._most_entries = min(settings.batch_size, MOST_ENTRIES)
        #: Bad entries and remaining count of a round that is committed, but not acknowledged in
        #: Redis yet. While Redis is unreachable, the round must not be committed again and again.
        self._unacknowledged: tuple[list[BadEntry], int] | None = None
        #: Whether more entries may be waiting.
        self._is_more = False
        #: What is unavailable now; each outage is logged once.
        self._away: str | None = None
        self._is_serving = False

    def serve(self, stop: Event) -> None:
        """Work until `stop` is set; the current round is finished first.

        Waits while Redis or the database is unreachable. An error that no entry caused is raised;
        the next intake takes the round over.
        """
        try:
            while not stop.is_set():
                if not self._try_a_round():
                    stop.wait(AGAIN_SECONDS)
                elif not self._is_more:
                    stop.wait(ROUND_SECONDS)
        finally:
            try:
                self._inbox.release()
            except BROKER_AWAY:
                pass  # its lease will expire
            self._inbox.close()

    def _try_a_round(self) -> bool:
        """Return whether a round was taken; False when Redis or the database is unreachable."""
        try:
            self.round()
        except Exception as error:
            if Fault.of(error) is not Fault.TRANSIENT:
                raise
            if isinstance(error, BROKER_AWAY):
                away = "Redis"
            else:
                away = "the database" if isinstance(error, SQLAlchemyError) else "this host"
            if away != self._away:
                log.warning(
                    "%s cannot be used (%s): entries of %s are not processed until it can",
                    away,
                    plain(error),
                    INBOX_KEY,
                )
            self._away = away
            return False
        if self._away is not None:
            log.info("%s is available again: entries of the inbox are processed", self._away)
            self._away = None
        return True

    def round(self) -> int:
        """Take waiting entries, write them to the ledger, and return how many there were.

        Raises redis.exceptions.RedisError: Redis is unreachable or refuses a command
        (`workers.faults.BROKER_AWAY`); call this method again.
        Raises sqlalchemy.exc.SQLAlchemyError: nothing was written; the entries stay taken.
        """
        if self._unacknowledged is not None:
            self._acknowledge(*self._unacknowledged)
        taken = self._inbox.take(self._most_entries)
        self._is_more = taken.is_more
        if not self._is_serving:
            # Logged only now: the lease is in Redis, and health checks see this intake.
            log.info("the intake %s is ready: it processes entries of %s", self._name, INBOX_KEY)
            self._is_serving = True
        if not taken.entries:
            return 0
        if taken.tried is None:
            self._process(taken)
        elif taken.tried < SOLO_ATTEMPTS:
            if taken.tried:
                self._try_valid_entry()  # if the database hangs, no try may be counted
            # Counted before the try: the entry may crash this process.
            self._inbox.try_alone(taken.tried + 1)
            self._process(taken)
        else:
            self._reject(
                taken,
                f"{taken.tried} intakes crashed while they processed only this entry; see the logs",
            )
        return len(taken.entries)

    def _process(self, taken: Taken) -> None:
        try:
            named, bad = read_entries(taken.entries, self._locator)
            enqueued = self._commit(named) if named else 0
        except Exception as error:
            if not self._is_caused_by_entry(error):
                if taken.tried is not None:
                    self._inbox.try_alone(taken.tried)
                raise
            self._isolate(taken, error)
            return
        # Only after the commit, which is tried every second while the database is unreachable.
        self._finish(taken, bad, enqueued)
        if enqueued:
            # If Redis is unreachable by now, a sweep publishes the batches later.
            dispatch(self._app, self._database, self._settings)

    def _isolate(self, taken: Taken, error: Exception) -> None:
        """Isolate the entry that caused an error; a single failure alone may be chance."""
        tries = 0 if taken.tried is None else taken.tried + 1
        if tries == SOLO_ATTEMPTS:
            # Not the error's text, which may name files outside of the roots.
            kind = type(error).__name__
            self._reject(
                taken,
                f"an internal error ({kind}) when it was processed alone, {tries} times; "
                "see the intake's log",
            )
            return
        log.warning(
            "processing entries of the inbox failed; they are now processed one by one: %d",
            len(taken.entries) + taken.remaining,
            exc_info=error,
        )
        self._is_more = False
        self._inbox.try_alone(tries)

    def _reject(self, taken: Taken, reason: str) -> None:
        self._finish(taken, [bad_entry(entry, reason) for entry in taken.entries], 0)

    def _finish(self, taken: Taken, bad: list[BadEntry], enqueued: int) -> None:
        if bad:
            log.warning(
                "invalid entries of the inbox, moved to the dead list %s: %d; the first: %s",
                DEAD_KEY,
                len(bad),
                bad[0].reason,
            )
        self._acknowledge(bad, taken.remaining)
        log.info(
            "inbox: entries processed: %d, sounds enqueued: %d, entries rejected: %d",
            len(taken.entries),
            enqueued,
            len(bad),
        )

    def _acknowledge(self, bad: list[BadEntry], remaining: int) -> None:
        self._unacknowledged = bad, remaining
        self._inbox.acknowledge(bad, remaining)
        self._unacknowledged = None

    def _commit(self, named: Sequence[NamedSound]) -> int:
        """Write the sounds of a round to the ledger; return how many were enqueued."""
        with self._database.begin() as connection:
            return self._write(connection, named)

    def _is_caused_by_entry(self, error: Exception) -> bool:
        """Whether an entry caused an error, that is, a valid entry can still be written.

        Otherwise moving entries to the dead list would lose them, because that list is bounded.
        """
        if Fault.of(error) is not Fault.BUG and not isinstance(error, OSError):
            return False
        try:
            self._try_valid_entry()
        except Exception:
            return False
        return True

    def _try_valid_entry(self) -> None:
        """Write a valid entry and roll it back; raises the error if that fails."""
        root = next(iter(self._settings.library_roots))
        sound = FoundSound(root, "a.wav", root, root, None, None, is_there=False)
        with self._database.connect() as connection, connection.begin() as transaction:
            self._write(connection, [NamedSound(sound, CATEGORIES[0])])
            transaction.rollback()

    def _write(self, connection: Connection, named: Sequence[NamedSound]) -> int:
        # If two entries name one sound, the later counts.
        by_place = {_place(entry.sound): entry.sound for entry in named}
        found = sorted(by_place.values(), key=_place)
        labels = {_place(entry.sound): entry.label for entry in named if entry.label is not None}
        ingest_id = ledger.current_ingest(connection, INBOX_KEY, seconds=INGEST_SECONDS)
        stale = compare_with_rows(connection, found).stale
        if labels:
            write_pending_labels(
                connection, labels, source=LabelSource.IMPORT, labelled_by=LABELLED_BY
            )
        BatchWriter(ingest_id, self._settings).write(connection, stale, last=True)
        ledger.add_progress(
            connection,
            ingest_id,
            found=len(found),
            skipped_unchanged=len(found) - len(stale),
            enqueued=len(stale),
        )
        return len(stale)
