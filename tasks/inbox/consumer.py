"""Serving the inbox: round by round, its entries into the ledger.

take --> commit --> settle --> ring. A round is what the taken list holds. It is deleted only when
the ledger's commit is through, so that a crash repeats a round and never loses it; repeated, what
is known and unchanged is passed over, and the rest is classified twice at worst.
"""

import logging
from collections.abc import Sequence
from threading import Event
from typing import Final

from celery import Celery
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from db.errors import is_away, plain
from db.queue import ledger
from db.results.pending_labels import give_early
from db.tables import LabelSource
from tasks.inbox.entries import NamedSound, read_entries
from tasks.inbox.redis_lists import INBOX_KEY, BadEntry, Inbox
from tasks.producer.batching import BatchWriter
from tasks.producer.locator import FoundSound, Locator
from tasks.producer.unchanged import needs_classification
from workers.celery_ext.dispatch import dispatch
from workers.faults import BROKER_AWAY
from workers.recovery.crash_marker import new_worker_name
from workers.settings import Settings

log = logging.getLogger(__name__)

#: What came meanwhile is one round: short enough for a producer, long enough that a trickle of
#: single paths makes batches of several.
ROUND_SECONDS: Final = 0.25

#: Whatever the batch size: a round comes in one answer of Redis, of 64 KiB an entry at worst.
MOST_ENTRIES: Final = 1000

#: Between two tries at a Redis or a database that is away.
AGAIN_SECONDS: Final = 1.0

#: An inbox never ends, and its ingest must: status shows the latest ten.
INGEST_SECONDS: Final = 24 * 60 * 60

#: Who gave a label that came through the inbox.
LABELLED_BY: Final = "inbox"


class Intake:
    """One server of the inbox; there may be several, on any hosts.

    Parameters
    ----------
    settings : Settings
        With a broker.
    app : Celery
        For ringing the doorbell.
    database : Engine
        At this version's tables.
    """

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
        #: Set from the ledger's commit until Redis has heard of it. A round that is not settled
        #: must not be committed again for as long as Redis is away.
        self._unsettled: list[BadEntry] | None = None
        #: What does not answer at the moment; said once.
        self._away: str | None = None

    def serve(self, stop: Event) -> None:
        """Work until `stop` is set; the round in hand is finished first.

        A Redis or a database that is away is waited for. Any other error is ours, and raised; the
        round then is the next intake's.
        """
        log.info("the inbox is served: %s, by %s", INBOX_KEY, self._name)
        try:
            while not stop.is_set():
                taken = self._try_a_round()
                if taken is None:
                    stop.wait(AGAIN_SECONDS)
                elif taken < self._most_entries:
                    stop.wait(ROUND_SECONDS)
        finally:
            try:
                self._inbox.leave()
            except BROKER_AWAY:
                pass  # its lease will end
            self._inbox.close()

    def _try_a_round(self) -> int | None:
        """Return how many entries were taken; None when something that is needed is away."""
        try:
            taken = self.round()
        except BROKER_AWAY as error:
            self._waits_for("Redis", error)
            return None
        except SQLAlchemyError as error:
            if not is_away(error):
                raise
            self._waits_for("the database", error)
            return None
        if self._away is not None:
            log.info("%s answers again: the inbox is served", self._away)
            self._away = None
        return taken

    def _waits_for(self, what: str, error: Exception) -> None:
        if self._away != what:
            log.warning(
                "%s cannot be used (%s): entries of %s wait until it can",
                what,
                plain(error),
                INBOX_KEY,
            )
        self._away = what

    def round(self) -> int:
        """Take what waits, write it to the ledger, and return how many entries that were.

        Raises
        ------
        redis.exceptions.RedisError
            Redis is away, or refuses (`workers.faults.BROKER_AWAY`). Call it again.
        sqlalchemy.exc.SQLAlchemyError
            Nothing was written; the entries are still in hand.
        """
        if self._unsettled is not None:
            self._settle(self._unsettled)
        entries = self._inbox.take(self._most_entries)
        if not entries:
            return 0
        named, bad = read_entries(entries, self._locator)
        enqueued = self._commit(named) if named else 0
        # Behind the commit, which may be tried every second for as long as the database is away.
        if bad:
            log.warning(
                "%d entries of the inbox cannot be taken, see its dead list; the first: %s",
                len(bad),
                bad[0].reason,
            )
        self._settle(bad)
        log.info(
            "%d entries of the inbox: %d sounds enqueued, %d entries not taken",
            len(entries),
            enqueued,
            len(bad),
        )
        if enqueued:
            # When Redis is gone by now, a sweep publishes what the ledger holds.
            dispatch(self._app, self._database, self._settings)
        return len(entries)

    def _settle(self, bad: list[BadEntry]) -> None:
        self._unsettled = bad
        self._inbox.settle(bad)
        self._unsettled = None

    def _commit(self, named: Sequence[NamedSound]) -> int:
        """Write what a round names to the ledger and return how many sounds that were."""
        # Of two entries for one sound the later counts.
        by_sound = {_place(one.sound): one.sound for one in named}
        found = sorted(by_sound.values(), key=_place)
        labels = {_place(one.sound): one.label for one in named if one.label is not None}
        with self._database.begin() as connection:
            ingest_id = ledger.standing_ingest(connection, INBOX_KEY, seconds=INGEST_SECONDS)
            stale, _ = needs_classification(connection, found)
            if labels:
                give_early(connection, labels, source=LabelSource.IMPORT, labelled_by=LABELLED_BY)
            BatchWriter(ingest_id, self._settings).close(connection, stale)
            ledger.add_progress(
                connection,
                ingest_id,
                found=len(found),
                skipped_unchanged=len(found) - len(stale),
                enqueued=len(stale),
            )
        return len(stale)


def _place(sound: FoundSound) -> tuple[str, str]:
    return sound.root, sound.path
