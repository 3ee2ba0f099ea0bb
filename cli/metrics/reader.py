"""The numbers of ``cratesort metrics``, read when they are asked for, and never waited for."""

import time
from dataclasses import dataclass
from typing import Final

from celery import Celery
from sqlalchemy import Engine

from classifier.errors import CratesortError
from cli.metrics.background_query import Asking
from db import dialects
from db.engine import create_engine, is_missing, reading
from db.migrate import require_current
from db.registry import training_runs
from db.registry.bundles import serving_version
from db.registry.training_runs import TrainingRun
from db.reporting import batch_metrics, counts
from db.reporting.batch_metrics import Measures
from db.reporting.counts import LedgerCounts
from tasks.inbox.redis_lists import InboxCounts, count_entries
from workers.celery_ext.app import build_app
from workers.celery_ext.dispatch import queue_lengths
from workers.settings import Settings

#: Up to three are asked, one after the other; `monitoring/prometheus.yml` waits for fourteen
#: seconds, and Prometheus by itself for ten, which is enough when database and Redis are away.
_ANSWER_SECONDS: Final = 4.0

#: Sounds are counted one by one, and they are millions: of the time that passes, at most one part
#: in this many is spent on it.
_COUNTING_PART: Final = 20


class NoDatabaseError(CratesortError):
    """There is no database yet; looking must not make one."""


@dataclass(frozen=True, slots=True)
class DatabaseNumbers:
    """What the database says, but for the sounds.

    Attributes
    ----------
    unclaimed_seconds : float
        As `cratesort health` judges it.
    model_version : str
        What serves.
    run : TrainingRun or None
        The last one that began.
    """

    ledger: LedgerCounts
    unclaimed_seconds: float
    measures: Measures
    model_version: str
    run: TrainingRun | None


@dataclass(frozen=True, slots=True)
class SoundNumbers:
    """The sounds as their latest visits left them.

    Attributes
    ----------
    errors : dict of str to int
        Failed, by error code.
    categories : dict of str to int
        Classified, by category.
    """

    errors: dict[str, int]
    categories: dict[str, int]


@dataclass(frozen=True, slots=True)
class BrokerNumbers:
    """What Redis holds.

    Attributes
    ----------
    messages : dict of str to int
        By queue.
    inbox : InboxCounts or None
        None when it could not be counted.
    """

    messages: dict[str, int]
    inbox: InboxCounts | None


class MetricReader:
    """Reads all numbers; what does not answer in time is None."""

    def __init__(self, settings: Settings) -> None:
        self.has_broker: Final = not settings.in_process
        self._settings = settings
        self._engine: Engine | None = None
        self._app: Celery | None = None
        self._database = Asking("the database", self._ask_database)
        self._counting = Asking("counting the sounds", self._count_sounds)
        self._broker = Asking("Redis", self._ask_broker)
        self._sounds: SoundNumbers | None = None
        self._next_count = 0.0

    def database(self) -> DatabaseNumbers | None:
        """Return what the database says now."""
        return self._database.answer(_ANSWER_SECONDS)

    def sounds(self) -> SoundNumbers | None:
        """Return the sounds as they were counted last: now, unless they are too many."""
        if time.monotonic() >= self._next_count:
            self._counting.answer(_ANSWER_SECONDS)
        return self._sounds

    def broker(self) -> BrokerNumbers | None:
        """Return what Redis says now."""
        return self._broker.answer(_ANSWER_SECONDS)

    def _ask_database(self) -> DatabaseNumbers:
        engine = self._checked_engine()
        with reading(engine) as connection, dialects.limited(connection, _ANSWER_SECONDS):
            return DatabaseNumbers(
                ledger=counts.ledger_counts(connection),
                unclaimed_seconds=counts.waiting(connection).unclaimed_seconds,
                measures=batch_metrics.totals(connection),
                model_version=serving_version(connection),
                run=training_runs.latest(connection),
            )

    def _checked_engine(self) -> Engine:
        if self._engine is None:
            if is_missing(self._settings.database):
                raise NoDatabaseError("its file is not there yet; the first ingest makes it")
            engine = create_engine(self._settings.database)
            require_current(engine)
            self._engine = engine
        return self._engine

    def _count_sounds(self) -> None:
        started = time.monotonic()
        try:
            with reading(self._checked_engine()) as connection:
                self._sounds = SoundNumbers(
                    counts.error_counts(connection), counts.category_counts(connection)
                )
        finally:
            ended = time.monotonic()
            self._next_count = ended + _COUNTING_PART * (ended - started)

    def _ask_broker(self) -> BrokerNumbers:
        url = self._settings.broker_url
        if url is None:  # pragma: no cover - asked only when there is one
            raise AssertionError("no broker to ask")
        if self._app is None:
            self._app = build_app(self._settings)
        return BrokerNumbers(queue_lengths(self._app), count_entries(url.get_secret_value()))
