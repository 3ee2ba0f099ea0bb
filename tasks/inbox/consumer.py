"""The intake: moves entries of the inbox to the ledger, round by round.

take, commit, acknowledge, dispatch. A round is what the taken list holds, and is deleted only after
the ledger's commit: a crash repeats a round and never loses it. Of a repeated round, unchanged
sounds are skipped, and the rest is classified twice at worst.
"""

import logging
from collections.abc import Sequence
from operator import attrgetter
from threading import Event
from typing import Final

from celery import Celery
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from db.errors import is_away, plain
from db.queue import ledger
from db.results.pending_labels import give_early
from db.states import LabelSource
from tasks.inbox.entries import NamedSound, read_entries
from tasks.inbox.redis_lists import INBOX_KEY, BadEntry, Inbox
from tasks.producer.batching import BatchWriter
from tasks.producer.locator import Locator
from tasks.producer.unchanged import compare_with_rows
from workers.celery_ext.dispatch import dispatch
from workers.faults import BROKER_AWAY
from workers.recovery.crash_marker import new_worker_name
from workers.settings import Settings

log = logging.getLogger(__name__)

#: Short enough for a producer; long enough that a trickle of single paths makes batches of several.
ROUND_SECONDS: Final = 0.25

#: A round comes in one answer of Redis, of 64 KiB an entry at worst.
MOST_ENTRIES: Final = 1000

#: Between two tries while Redis or the database is away.
AGAIN_SECONDS: Final = 1.0

#: After this, another ingest is begun: status shows the latest ten.
INGEST_SECONDS: Final = 24 * 60 * 60

#: Who gave a label that came through the inbox.
LABELLED_BY: Final = "inbox"

_place: Final = attrgetter("root", "path")


class Intake:
    """One consumer of the inbox; there may be several, on any hosts."""

    def __init__(self, settings: Settings, app: Celery, database: Engine) -> None:
        if settings.broker_url is None:
            raise ValueError("expected settings with a broker: the inbox lies in Redis")
        self._settings = settings
        self._app = app
        self._database = database
        self._locator = Locator(settings)
        self._name = new_worker_name()
        self._inbox = Inbox(settings.broker_url.get_secret_value(), self._name)
        self._most_entries = min(settings.batch_size, MOST_ENTRIES)
        #: Set from the ledger's commit until Redis knows: a round must not be committed again and
        #: again while Redis is away.
        self._unacknowledged: list[BadEntry] | None = None
        #: What is away at the moment; logged once.
        self._away: str | None = None
        self._is_serving = False

    def serve(self, stop: Event) -> None:
        """Work until `stop` is set; the current round is finished first.

        Waits while Redis or the database is away. Any other error is raised, and the round left to
        the next intake.
        """
        try:
            while not stop.is_set():
                taken = self._try_a_round()
                if taken is None:
                    stop.wait(AGAIN_SECONDS)
                elif taken < self._most_entries:
                    stop.wait(ROUND_SECONDS)
        finally:
            try:
                self._inbox.release()
            except BROKER_AWAY:
                pass  # its lease will expire
            self._inbox.close()

    def _try_a_round(self) -> int | None:
        """Return how many entries were taken; None when Redis or the database is away."""
        try:
            taken = self.round()
        except (*BROKER_AWAY, SQLAlchemyError) as error:
            if isinstance(error, SQLAlchemyError) and not is_away(error):
                raise
            away = "the database" if isinstance(error, SQLAlchemyError) else "Redis"
            if away != self._away:
                log.warning(
                    "%s cannot be used (%s): entries of %s wait until it can",
                    away,
                    plain(error),
                    INBOX_KEY,
                )
            self._away = away
            return None
        if self._away is not None:
            log.info("%s answers again: the inbox is served", self._away)
            self._away = None
        return taken

    def round(self) -> int:
        """Take waiting entries, write them to the ledger, and return how many there were.

        Raises redis.exceptions.RedisError: Redis is away, or refuses
        (`workers.faults.BROKER_AWAY`). Call it again.
        Raises sqlalchemy.exc.SQLAlchemyError: nothing was written; the entries are still taken.
        """
        if self._unacknowledged is not None:
            self._acknowledge(self._unacknowledged)
        entries = self._inbox.take(self._most_entries)
        if not self._is_serving:
            # Not earlier: from here on Redis has its lease, and health checks see it.
            log.info("the inbox is served: %s, by %s", INBOX_KEY, self._name)
            self._is_serving = True
        if not entries:
            return 0
        named, bad = read_entries(entries, self._locator)
        enqueued = self._commit(named) if named else 0
        # After the commit, which is tried every second while the database is away.
        if bad:
            message = "%d entries of the inbox cannot be taken, see its dead list; the first: %s"
            log.warning(message, len(bad), bad[0].reason)
        self._acknowledge(bad)
        message = "%d entries of the inbox: %d sounds enqueued, %d entries not taken"
        log.info(message, len(entries), enqueued, len(bad))
        if enqueued:
            # If Redis is away by now, a sweep publishes what the ledger holds.
            dispatch(self._app, self._database, self._settings)
        return len(entries)

    def _acknowledge(self, bad: list[BadEntry]) -> None:
        self._unacknowledged = bad
        self._inbox.acknowledge(bad)
        self._unacknowledged = None

    def _commit(self, named: Sequence[NamedSound]) -> int:
        """Write the sounds of a round to the ledger; return how many were enqueued."""
        # Of two entries for one sound the later counts.
        by_place = {_place(entry.sound): entry.sound for entry in named}
        found = sorted(by_place.values(), key=_place)
        labels = {_place(entry.sound): entry.label for entry in named if entry.label is not None}
        with self._database.begin() as connection:
            ingest_id = ledger.standing_ingest(connection, INBOX_KEY, seconds=INGEST_SECONDS)
            stale = compare_with_rows(connection, found).stale
            if labels:
                give_early(connection, labels, source=LabelSource.IMPORT, labelled_by=LABELLED_BY)
            BatchWriter(ingest_id, self._settings).write(connection, stale, last=True)
            ledger.add_progress(
                connection,
                ingest_id,
                found=len(found),
                skipped_unchanged=len(found) - len(stale),
                enqueued=len(stale),
            )
        return len(stale)
