"""Read the numbers of ``cratesort metrics`` at each scrape, with a timeout."""

import logging
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from celery import Celery
from sqlalchemy import Engine

from cli.console.session import require_database
from cli.metrics.background_query import BackgroundQuery
from db import dialects
from db.engine import SERVICE, create_engine, reading
from db.migrate import require_current
from db.queue import root_names
from db.registry import training_runs
from db.registry.bundles import serving_version
from db.registry.training_runs import TrainingRun
from db.reporting import batch_metrics, counts
from db.reporting.batch_metrics import Measures
from db.reporting.counts import CategoryCounts, LedgerCounts
from db.reporting.open_work import OpenWork, open_work
from tasks.inbox.redis_lists import InboxCounts, InboxUnavailableError, count_entries
from workers.celery_ext.app import build_app
from workers.celery_ext.dispatch import queue_lengths
from workers.settings import Settings

log = logging.getLogger(__name__)

#: For each of up to three queries, which run one after the other. `monitoring/prometheus.yml` has a
#: timeout of 14 s. Prometheus' default of 10 s is enough for the two that run when database and
#: Redis are away.
_TIMEOUT_SECONDS: Final = 4.0

#: Counting millions of sounds is slow. The pause after a count is this many times as long as the
#: count.
_COUNTING_PART: Final = 20


@dataclass(frozen=True, slots=True)
class DatabaseNumbers:
    """All numbers from the database except the counts of sounds."""

    ledger: LedgerCounts
    work: OpenWork
    measures: Measures
    model_version: str
    run: TrainingRun | None


@dataclass(frozen=True, slots=True)
class SoundNumbers:
    """Failed sounds by error code, and classified sounds by what they are filed as."""

    errors: dict[str, int]
    categories: CategoryCounts


@dataclass(frozen=True, slots=True)
class BrokerNumbers:
    """Messages by queue, and the entries of the inbox: None if these could not be counted."""

    messages: dict[str, int]
    inbox: InboxCounts | None


class MetricReader:
    """Reads all numbers; a method returns None if its server does not answer in time."""

    def __init__(self, settings: Settings) -> None:
        self.has_broker: Final = not settings.in_process
        self._settings = settings
        self._database = BackgroundQuery("the database", self._read_database)
        self._counting = BackgroundQuery("counting the sounds", self._count_sounds)
        self._broker = BackgroundQuery("Redis", self._read_broker)
        self._sounds: SoundNumbers | None = None
        #: Queued batches by library root; this host may lack some of the roots.
        self._roots: dict[str, int] = {}
        self._next_count = 0.0

    def database(self) -> DatabaseNumbers | None:
        """Return the numbers of the database."""
        return self._database.result(_TIMEOUT_SECONDS)

    def sounds(self) -> SoundNumbers | None:
        """Return the latest counts of sounds; count again first if the pause is over."""
        if time.monotonic() >= self._next_count:
            self._counting.result(_TIMEOUT_SECONDS)
        return self._sounds

    def broker(self) -> BrokerNumbers | None:
        """Return the numbers of Redis."""
        return self._broker.result(_TIMEOUT_SECONDS)

    @cached_property
    def _engine(self) -> Engine:
        require_database(self._settings)
        engine = create_engine(self._settings.database, SERVICE)
        require_current(engine)
        return engine

    def _read_database(self) -> DatabaseNumbers:
        with reading(self._engine) as connection, dialects.limited(connection, _TIMEOUT_SECONDS):
            self._roots = root_names.queued(connection)
            return DatabaseNumbers(
                ledger=counts.ledger_counts(connection),
                work=open_work(connection),
                measures=batch_metrics.totals(connection),
                model_version=serving_version(connection),
                run=training_runs.latest(connection),
            )

    def _count_sounds(self) -> None:
        started = time.monotonic()
        try:
            with reading(self._engine) as connection:
                self._sounds = SoundNumbers(
                    counts.error_counts(connection), counts.category_counts(connection)
                )
        finally:
            ended = time.monotonic()
            self._next_count = ended + _COUNTING_PART * (ended - started)

    @cached_property
    def _app(self) -> Celery:
        return build_app(self._settings)

    def _read_broker(self) -> BrokerNumbers:
        url = self._settings.broker_url
        if url is None:  # pragma: no cover - called only when there is one
            raise AssertionError("no broker to read")
        messages = queue_lengths(self._app, self._roots)
        try:
            inbox = count_entries(url.get_secret_value())
        except InboxUnavailableError as error:
            log.warning("the inbox cannot be counted: %s", error)
            inbox = None
        return BrokerNumbers(messages, inbox)
