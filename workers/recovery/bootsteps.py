"""Celery bootsteps of a worker's parent process.

The parent starts the supervisor (`workers.recovery.supervisor`) and restarts it when it ends. It
takes no messages while the database is away, interrupts a training run when it is told to stop, and
ends within a second on a second Ctrl-C.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any, Final

from celery import Celery, bootsteps, signals
from celery.worker.state import active_requests

from workers.celery_ext.app import RETRAIN_TASK
from workers.recovery.database_health import DatabaseHealth
from workers.recovery.supervisor import SIGNALS, STOP_NOW

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.5
#: A supervisor that ends at once is not started over and over.
_RESTART_SECONDS: Final = 5.0
#: How long a second Ctrl-C waits for the supervisor to return what was in hand.
_PATIENCE_SECONDS: Final = 0.8

#: A batch in hand ends within its time limit, and the supervisor's grace.
_SHUTDOWN_MARGIN_SECONDS: Final = 5.0

_INTERRUPTED: Final = 130


class _SupervisorProcess:
    """The parent's end of the supervisor."""

    def __init__(self) -> None:
        self.health = DatabaseHealth.create()
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    def ensure(self) -> None:
        """Start the supervisor if none runs."""
        ended = None if self._process is None else self._process.poll()
        if self._process is not None and ended is None:
            return
        if time.monotonic() - self._started < _RESTART_SECONDS:
            return
        if ended is not None:
            log.error("the supervisor ended with code %d; another one is started", ended)
            self.health.report_up()  # else nothing would be taken until the new one has had a look
        self._started = time.monotonic()
        # Blocked signals stay blocked in the new program: until it can tell them apart, a Ctrl-C
        # would end it. Ours that come meanwhile are delivered behind.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self._process = subprocess.Popen(  # noqa: S603  (ourselves, and two numbers)
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "workers.recovery.supervisor",
                    str(self.health.fd),
                    str(os.getpid()),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=[self.health.fd],
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def stop_now(self) -> None:
        """Have all children ended and their batches returned; wait a moment for it."""
        if self._process is None:
            return
        try:
            self._process.send_signal(STOP_NOW)
            self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            pass  # it goes on without us; and if it cannot, the leases end


_supervisor: Final = _SupervisorProcess()


class HoldWhileDatabaseIsAway(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Takes no messages while the database does not answer.

    A batch without a database cannot even be claimed: its message would be gone for nothing, and
    its batch wait until a sweep misses it.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._held: list[str] = []
        self._timer: Any = None

    def start(self, consumer: Any) -> None:
        """Look at the supervisor and its health from now on."""
        _supervisor.ensure()
        # After a lost connection Celery has set up only what was consumed before.
        self._release(consumer)
        self._timer = consumer.timer.call_repeatedly(_LOOK_SECONDS, self._look, (consumer,))

    def stop(self, consumer: Any) -> None:  # noqa: ARG002  (Celery's signature)
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, consumer: Any) -> None:
        _supervisor.ensure()
        if not _supervisor.health.is_up:
            self._hold(consumer)
        elif self._held:
            log.warning("the database is back: messages are taken again")
            self._release(consumer)

    def _hold(self, consumer: Any) -> None:
        taken = list(consumer.app.amqp.queues.consume_from)
        if taken:
            log.warning("the database is away: no messages are taken until it answers")
        for queue in taken:
            self._held.append(queue)
            consumer.cancel_task_queue(queue)

    def _release(self, consumer: Any) -> None:
        while self._held:
            # Forgotten only behind it: Redis may fail just now, and then all is tried again.
            consumer.add_task_queue(self._held[0])
            del self._held[0]


def install(app: Celery) -> None:
    """Add the steps to an app that is about to run a worker."""
    app.steps["consumer"].add(HoldWhileDatabaseIsAway)

    @signals.worker_init.connect(weak=False)  # type: ignore[untyped-decorator]
    def _(**_: Any) -> None:
        _supervisor.ensure()  # before there are children to watch

    @signals.worker_ready.connect(weak=False)  # type: ignore[untyped-decorator]
    def _(**_: Any) -> None:
        signal.signal(signal.SIGQUIT, _stop_now)
        # Celery would start itself anew under the same process id, and leave the supervisor behind.
        signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))

    @signals.worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator]
    def _(how: str, **_: Any) -> None:
        _shut_down(how, app.conf.task_time_limit + _SHUTDOWN_MARGIN_SECONDS)


def _shut_down(how: str, limit_seconds: float) -> None:
    """Do our part of a shutdown, of which Celery tells in the signal's handler."""
    if how == "Cold":
        # A second Ctrl-C that came after Celery had announced it and before the handler below was
        # in place: Celery's own second step waits for children that may never answer.
        _stop_now()
    _interrupt_training()
    signal.signal(signal.SIGINT, _stop_now)
    # A Redis that stands still would hold it for ever; by then nothing is in hand any more.
    timer = threading.Timer(limit_seconds, _end, [0])
    timer.daemon = True
    timer.start()


def _interrupt_training() -> None:
    """Have a child that trains close its run as interrupted, and end.

    A batch in hand is finished within its time limit; a training run would take hours, and the next
    one does it all anew in any case.
    """
    for request in list(active_requests):
        if request.name == RETRAIN_TASK and request.worker_pid is not None:
            try:
                os.kill(request.worker_pid, signal.SIGTERM)
            except ProcessLookupError:
                pass  # it ended by itself


def _stop_now(*_: Any) -> None:
    """End this worker at once; what was in hand is returned by the supervisor, or by its lease."""
    _interrupt_training()
    _end(_INTERRUPTED)


def _end(code: int) -> None:
    _supervisor.stop_now()
    os._exit(code)
