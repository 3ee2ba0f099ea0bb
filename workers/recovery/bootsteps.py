"""Celery bootsteps of a worker's parent process.

The parent starts the supervisor and restarts it when it ends. It takes no messages while the
database is unreachable, and none for unavailable library roots. On shutdown it interrupts a
training run; on a second Ctrl-C it ends within a second.
"""

import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any, Final

from celery import Celery, bootsteps, signals
from celery.worker.state import active_requests

from workers.celery_ext import presence
from workers.celery_ext.app import CLASSIFY_QUEUE, INTERACTIVE_QUEUE, RETRAIN_TASK, queue_of
from workers.library_roots import LibraryRoot
from workers.recovery.shared_health import SharedHealth, shared_health
from workers.recovery.supervisor import SIGNALS, STOP_NOW
from workers.settings import load_settings

log = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.5
_ANNOUNCE_SECONDS: Final = 2.0
#: Least time between two starts of the supervisor, in case it ends at once.
_RESTART_SECONDS: Final = 5.0
#: How long a second Ctrl-C waits for the supervisor to return batches.
_STOP_TIMEOUT_SECONDS: Final = 0.8
#: Added to a batch's time limit for a shutdown: more than the supervisor's grace.
_SHUTDOWN_MARGIN_SECONDS: Final = 5.0

#: Time limit of the first check of library roots: a hanging mount must not block the start.
_ROOTS_SECONDS: Final = 1.0

_INTERRUPTED: Final = 130

#: Celery logs this at CRITICAL, with a traceback, after five reconnections within a second.
_FREQUENT_RESTARTS: Final = "Frequent restarts detected: %r"


class _SupervisorProcess:
    """The parent's handle of its supervisor process."""

    def __init__(self) -> None:
        #: The library roots it checks; none for a worker that does not classify.
        self.roots: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    @property
    def health(self) -> SharedHealth:
        """What the supervisor reports to its parent."""
        return shared_health()

    def ensure(self) -> None:
        """Start the supervisor if none runs; kill it if it hangs."""
        ended = None if self._process is None else self._process.poll()
        if self._process is not None and ended is None:
            if not self.health.supervisor.is_up:
                log.error("the supervisor is unresponsive and is killed; another one is started")
                self._process.kill()
                self.health.supervisor.expect_supervisor()  # logged once
            return
        if time.monotonic() - self._started < _RESTART_SECONDS:
            return
        if ended is not None:
            log.error("the supervisor exited with code %d; another one is started", ended)
        self._started = time.monotonic()
        self.health.database.expect_supervisor()
        self.health.supervisor.expect_supervisor()
        # The new process inherits the blocked signals, so that a Ctrl-C does not end it before it
        # handles them. Signals to this process are delivered after they are unblocked.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        module, fd = "workers.recovery.supervisor", str(self.health.fd)
        try:
            self._process = subprocess.Popen(  # noqa: S603  (ourselves, numbers, names)
                [sys.executable, "-P", "-m", module, fd, str(os.getpid()), *self.roots],
                stdin=subprocess.DEVNULL,
                pass_fds=[self.health.fd],
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def stop_now(self) -> None:
        """Have the supervisor kill all children and return their batches; wait a moment."""
        if self._process is None:
            return
        try:
            self._process.send_signal(STOP_NOW)
            self._process.wait(_STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            pass  # it goes on without us; if it cannot, the leases expire


_supervisor: Final = _SupervisorProcess()


class ConsumeAvailableQueues(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Takes messages only while the database answers, and only for library roots that are there.

    Without the database a batch cannot be claimed: its message would be used up, and the batch
    would wait until a sweep publishes it again. Without its root the batch would be returned.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        #: The queues the worker was started for.
        self._queues: list[str] = []
        self._is_paused = False
        #: The queues that were announced, and when.
        self._announced: tuple[list[str], float] = ([], -math.inf)
        self._timer: Any = None

    def start(self, consumer: Any) -> None:
        """Poll from now on; called again after each lost connection."""
        self._queues = self._queues or list(consumer.app.amqp.queues.consume_from)
        self._poll(consumer)
        self._timer = consumer.timer.call_repeatedly(_POLL_SECONDS, self._poll, (consumer,))

    def stop(self, consumer: Any) -> None:  # noqa: ARG002  (Celery's signature)
        """Stop polling."""
        if self._timer is not None:
            self._timer.cancel()

    def _poll(self, consumer: Any) -> None:
        _supervisor.ensure()
        is_paused = not _supervisor.health.database.is_up
        if is_paused and not self._is_paused:
            log.warning("the database is not available: no messages are taken until it is")
        wanted = [] if is_paused else [*self._queues, *self._queues_of_roots()]
        # The queues from which Celery consumes, also after a lost connection. If Redis fails below,
        # the next poll continues.
        consumed = list(consumer.app.amqp.queues.consume_from)
        for queue in consumed:
            if queue not in wanted:
                consumer.cancel_task_queue(queue)
        for queue in wanted:
            if queue not in consumed:
                consumer.add_task_queue(queue)
        if self._is_paused and not is_paused:
            log.warning("the database is available again: messages are taken again")
        self._is_paused = is_paused
        queues, announced_at = self._announced
        if queues != wanted or time.monotonic() - announced_at > _ANNOUNCE_SECONDS:
            presence.announce(consumer.connection.default_channel, consumer.hostname, wanted)
            self._announced = (wanted, time.monotonic())

    def _queues_of_roots(self) -> list[str]:
        return [
            queue_of(root, interactive=kind == INTERACTIVE_QUEUE).name
            for kind in (INTERACTIVE_QUEUE, CLASSIFY_QUEUE)
            if kind in self._queues
            for root, health in _supervisor.health.roots.items()
            if health.is_up
        ]


class PoolInEventLoop(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Registers the pool with the event loop as soon as the pool has started.

    Celery registers it only when it consumes. A child that dies earlier, perhaps while Redis is
    full, would end the worker: it counts as failed to start, or its successor lacks pipes.
    """

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        """Register the pool, when it has started."""
        worker.pool.register_with_event_loop(worker.hub)
        worker.pool.did_start_ok = lambda: True  # a child that died is replaced, as usual


def _check_roots() -> None:
    """Check the library roots once, until the supervisor has loaded and reports them."""
    settings = load_settings()
    for health in _supervisor.health.roots.values():
        health.report_down()  # stays so for a mount that hangs
    for name, health in _supervisor.health.roots.items():
        if LibraryRoot.named(name, settings).fault(()) is None:
            health.expect_supervisor()


def _explain_restarts(record: logging.LogRecord) -> bool:
    """Replace Celery's record about frequent restarts: it is a warning, and Redis is the cause."""
    if record.msg == _FREQUENT_RESTARTS:
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg = "Redis refuses commands or drops connections: reconnecting once a second"
        record.args = record.exc_info = record.exc_text = None
    return True


def install(app: Celery, *, classifies: bool) -> None:
    """Add the steps to an app that is about to run a worker."""
    logging.getLogger("celery.worker.consumer.consumer").addFilter(_explain_restarts)
    app.steps["worker"].add(PoolInEventLoop)
    app.steps["consumer"].add(ConsumeAvailableQueues)
    if classifies:
        _supervisor.roots = sorted(_supervisor.health.roots)
        check = threading.Thread(target=_check_roots, daemon=True)
        check.start()
        check.join(_ROOTS_SECONDS)

    @signals.worker_init.connect(weak=False)  # type: ignore[untyped-decorator]
    def _(**_: Any) -> None:
        _supervisor.ensure()  # before there are children

    @signals.worker_ready.connect(weak=False)  # type: ignore[untyped-decorator]
    def _(**_: Any) -> None:
        signal.signal(signal.SIGQUIT, _stop_now)
        # Celery would restart itself under the same process id and leave the supervisor behind.
        signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))

    @signals.worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator]
    def _(how: str, **_: Any) -> None:
        _shut_down(how, app.conf.task_time_limit + _SHUTDOWN_MARGIN_SECONDS)


def _shut_down(how: str, limit_seconds: float) -> None:
    """Handle a shutdown; Celery calls this in its signal handler."""
    if how == "Cold":
        # A second Ctrl-C before the handler below was in place. Celery's own cold shutdown waits
        # for children that may never answer.
        _stop_now()
    _interrupt_training()
    signal.signal(signal.SIGINT, _stop_now)
    # A Redis that does not answer would block the shutdown; by then no batch is in progress.
    timer = threading.Timer(limit_seconds, _end, [0])
    timer.daemon = True
    timer.start()


def _interrupt_training() -> None:
    """Signal a training child to close its run as interrupted; the next run starts over anyway."""
    for request in list(active_requests):
        if request.name == RETRAIN_TASK and request.worker_pid is not None:
            try:
                os.kill(request.worker_pid, signal.SIGTERM)
            except ProcessLookupError:
                pass  # it ended by itself


def _stop_now(*_: Any) -> None:
    """End this worker at once; the supervisor returns its batches, or their leases expire."""
    _interrupt_training()
    _end(_INTERRUPTED)


def _end(code: int) -> None:
    _supervisor.stop_now()
    os._exit(code)
