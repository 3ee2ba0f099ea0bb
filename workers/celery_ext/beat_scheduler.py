"""Beat's scheduler: in memory, and with one log line where Celery logs two tracebacks a task."""

import logging
from typing import Any

from celery.beat import ScheduleEntry, Scheduler, SchedulingError
from kombu.messaging import Producer
from kombu.utils.objects import cached_property

from db.errors import plain
from workers.faults import BROKER_AWAY

log = logging.getLogger(__name__)


class QuietScheduler(Scheduler):  # type: ignore[misc]  # Celery publishes no types
    """Sends tasks that are due; while Redis is unreachable, it logs that at ever longer intervals.

    The schedule is kept in memory. Celery's default scheduler keeps it in a file, which two beats
    on one host corrupt, and which sweeps every few seconds do not need after a restart.
    """

    _failures = 0

    def setup_schedule(self) -> None:
        """Report a Redis that is unreachable at once, and not when the first task is due."""
        super().setup_schedule()
        try:
            self.connection.ensure_connection(max_retries=0)
        except BROKER_AWAY as error:
            self._report(error)

    @cached_property
    def producer(self) -> Producer:
        """Return a producer; Celery's own waits for Redis, and logs that every few seconds."""
        return Producer(self.connection, auto_declare=False)  # type: ignore[no-untyped-call]

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Send a task that is due."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            if not isinstance(error.__context__, BROKER_AWAY):
                log.exception("%s", error)
                return
            self._report(error.__context__)
        else:
            log.info("sent the task %s", entry.name)
            if self._failures:
                self._failures = 0
                log.warning("Redis is reachable again: tasks are sent when they are due")

    def _report(self, error: BaseException) -> None:
        self._failures += 1
        if self._failures.bit_count() == 1:  # the first, second, fourth, eighth, ...
            log.warning(
                "Redis cannot be reached (%s): no scheduled task is sent until it can", plain(error)
            )
