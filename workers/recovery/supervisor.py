"""The supervisor: a small process beside each worker that sees at once when a child of it dies.

A worker's parent must not wait for a database: it would leave its children without work and signals
without an answer. So the parent starts this process (``python -m workers.recovery.supervisor``),
which

- returns what a dead child had in hand, within a second, without the file it was reading;
- redeems what children could not hand back while the database was away;
- kills a child whose batch is over its time, should the parent not do it (it is shutting down, or
  dead itself);
- sweeps, so that recovery depends neither on beat nor on Redis;
- tells the parent, through shared memory, whether the database answers.

It outlives the parent until all children are gone too. On SIGUSR1 it ends the children now and
returns what they had in hand without blame.
"""

import logging
import os
import signal
import sys
import threading
import time
from typing import Final

from celery import Celery
from sqlalchemy import text

from db.engine import reading
from db.errors import DATABASE_AWAY, plain
from workers.celery_ext.app import build_app
from workers.celery_ext.dispatch import dispatch
from workers.context import WorkContext
from workers.errors import is_worlds
from workers.logging_setup import set_up_logging
from workers.recovery.crash_marker import MarkerContent, live_markers
from workers.recovery.crash_recovery import recover_batches
from workers.recovery.database_health import DatabaseHealth
from workers.recovery.ledger_sweep import sweep
from workers.settings import load_settings

log = logging.getLogger(__name__)

#: From the parent: end the children and return everything, now.
STOP_NOW: Final = signal.SIGUSR1

#: Ctrl-C and a service's stop reach the whole group; the supervisor ends when the others have.
_IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: The parent starts the supervisor with these blocked, until it is ready for them.
SIGNALS: Final = (STOP_NOW, *_IGNORED)

_LOOK_SECONDS: Final = 0.25
#: Told to stop, it waits this long for a database; then the leases end.
_PATIENCE_SECONDS: Final = 10.0
_PING_SECONDS: Final = 1.0
#: The pool kills a child over its limit itself; the supervisor only if that did not happen.
_POOLS_GRACE_SECONDS: Final = 2.0


class Supervisor:
    """One worker's supervisor."""

    def __init__(
        self, app: Celery, context: WorkContext, health: DatabaseHealth, parent_pid: int
    ) -> None:
        self._app = app
        self._context = context
        self._health = health
        self._parent_pid = parent_pid
        self._pinged = self._swept = time.monotonic()
        self._database_away = False
        self._told_to_stop = threading.Event()

    def stop_now(self) -> None:
        """End the children and return what they had in hand; for a signal's handler."""
        # Set first: from here on nobody is blamed for having died.
        self._told_to_stop.set()
        # Here and not in the loop, which may be waiting for a database that stands still.
        self._kill_children()
        timer = threading.Timer(_PATIENCE_SECONDS, os._exit, [0])
        timer.daemon = True
        timer.start()

    def run(self) -> None:
        """Watch until the parent and all its children are gone."""
        while not self._told_to_stop.wait(_LOOK_SECONDS):
            last_look = os.getppid() != self._parent_pid and not self._children()
            self._look()
            if last_look:
                return
        self._stop_children()

    def _look(self) -> None:
        """Do all that is due; a fault of the world ends this look, not the supervisor."""
        self._kill_the_overdue()
        try:
            self._ping()
            if self._database_away:
                return
            blameless = self._told_to_stop.is_set()
            if recover_batches(self._context, of_parent=self._parent_pid, blameless=blameless):
                dispatch(self._app, self._context.database, self._context.settings)
            if time.monotonic() - self._swept >= self._context.settings.sweep_seconds:
                self._swept = time.monotonic()
                sweep(self._app, self._context)
        except Exception as error:
            if not is_worlds(error):
                raise  # loud: the parent starts another supervisor
            log.warning("the supervisor will try again: %s", plain(error))

    def _ping(self) -> None:
        if time.monotonic() - self._pinged < _PING_SECONDS:
            return
        self._pinged = time.monotonic()
        try:
            with reading(self._context.database) as connection:
                connection.execute(text("SELECT 1"))
        except DATABASE_AWAY as error:
            if not self._database_away:
                log.warning("the database does not answer: %s", plain(error))
            self._database_away = True
            self._health.report_down()
            return
        self._health.report_up()
        if self._database_away:
            self._database_away = False
            # Who held a batch meanwhile gets a moment to finish it, or to have it handed back,
            # before leases that ended during the silence count against it.
            self._swept = time.monotonic()
            log.warning("the database answers again")

    def _children(self) -> list[MarkerContent]:
        folder = self._context.settings.running_folder
        return [note for note in live_markers(folder) if note.parent_pid == self._parent_pid]

    def _kill_the_overdue(self) -> None:
        for child in self._children():
            if child.overdue_seconds() > _POOLS_GRACE_SECONDS:
                log.warning("process %d is over its time and is killed", child.pid)
                _kill(child.pid)

    def _kill_children(self) -> None:
        for child in self._children():
            _kill(child.pid)

    def _stop_children(self) -> None:
        while self._children():
            self._kill_children()  # again: the pool may have replaced one meanwhile
            time.sleep(0.01)
        self._look()


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended by itself


def main() -> None:
    """Watch over the parent process's children."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    health = DatabaseHealth(int(sys.argv[1]))
    settings = load_settings()
    set_up_logging(settings.log_level, settings.log_format)
    # The parent's id is passed on: by now it may be gone, and this process someone else's child.
    supervisor = Supervisor(
        build_app(settings), WorkContext.create(settings), health, int(sys.argv[2])
    )
    signal.signal(STOP_NOW, lambda *_: supervisor.stop_now())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    supervisor.run()


if __name__ == "__main__":
    main()
