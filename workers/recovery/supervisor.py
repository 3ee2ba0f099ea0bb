"""The supervisor: a small process beside each worker that notices at once when a child dies.

A worker's parent must not wait for the database: meanwhile its children would get no work, and it
would not handle signals. So it starts this process (``python -m workers.recovery.supervisor``),
which

- returns the batch of a dead child within a second, without the file that was being read;
- hands back batches that children could not hand back while the database was unreachable;
- kills a child that exceeds its time limit, if the parent does not (it is shutting down, or dead);
- sweeps, so that recovery depends neither on beat nor on Redis;
- reports to the parent, through shared memory, whether the database can be written and which
  library roots are there.

It outlives the parent until all children are gone. On SIGUSR1 it kills the children and returns
their batches with no attempt counted.
"""

import contextlib
import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Final

from celery import Celery

from db.engine import SERVICE, create_engine, reading
from db.errors import is_read_only, plain
from db.queue import ledger, root_names
from workers.celery_ext.app import build_app
from workers.celery_ext.dispatch import dispatch
from workers.faults import Fault
from workers.library_roots import LibraryRoot
from workers.logging_setup import set_up_logging
from workers.recovery.crash_marker import MarkerContent, live_markers
from workers.recovery.crash_recovery import recover_batches
from workers.recovery.ledger_sweep import sweep
from workers.recovery.shared_health import SharedHealth
from workers.settings import Settings, load_settings

log = logging.getLogger(__name__)

#: From the parent: kill the children and return their batches now.
STOP_NOW: Final = signal.SIGUSR1

#: Ctrl-C and a service's stop reach the whole process group; the supervisor must end last.
_IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: The parent starts the supervisor with these blocked, until it can handle them.
SIGNALS: Final = (STOP_NOW, *_IGNORED)

_POLL_SECONDS: Final = 0.25
#: After STOP_NOW it waits this long for the database; after that the leases expire.
_STOP_TIMEOUT_SECONDS: Final = 10.0
_PING_SECONDS: Final = 1.0
_ROOT_SECONDS: Final = 2.0
#: How often the names by which a library root is recognised are read from the database.
_KNOWN_SECONDS: Final = 60.0
_ROOT_PATIENCE_SECONDS: Final = 600.0
#: The pool kills a child over its limit; the supervisor does so only if it lives this much longer.
_POOLS_GRACE_SECONDS: Final = 2.0


class Supervisor:
    """Supervises the children of the process `parent_pid`, and checks these library roots."""

    def __init__(
        self,
        app: Celery,
        settings: Settings,
        health: SharedHealth,
        parent_pid: int,
        roots: Sequence[str],
    ) -> None:
        self._app = app
        self._settings = settings
        self._database = create_engine(settings.database, SERVICE)
        self._folder = settings.running_folder
        self._health = health
        self._parent_pid = parent_pid
        self._roots = roots
        self._swept = time.monotonic()
        self._database_away = False
        self._stopping = threading.Event()

    def stop_now(self) -> None:
        """Kill the children and return their batches; for a signal's handler."""
        # Set first: no attempt counts from here on.
        self._stopping.set()
        # Not in the loop, which may be waiting for a database that does not answer.
        self._kill_children()
        timer = threading.Timer(_STOP_TIMEOUT_SECONDS, os._exit, [0])
        timer.daemon = True
        timer.start()

    def run(self) -> None:
        """Supervise until the parent and all its children are gone."""
        # In a thread of its own: the loop below may wait for Redis, or for a long sweep, and the
        # parent must not mistake that for a database that is unreachable.
        threading.Thread(target=self._watch_database, name="database", daemon=True).start()
        for name in self._roots:
            root = LibraryRoot.named(name, self._settings)
            threading.Thread(target=self._watch_root, args=(root,), daemon=True).start()
        while not self._stopping.wait(_POLL_SECONDS):
            is_last = os.getppid() != self._parent_pid and not self._children()
            self._poll()
            self._health.supervisor.report_up()
            if is_last:
                return
        while self._children():
            self._kill_children()  # again: the pool may have replaced one meanwhile
            time.sleep(0.01)
        self._poll()

    def _poll(self) -> None:
        """Do everything that is due; a transient failure ends this poll, not the supervisor."""
        for child in self._children():
            if child.overdue_seconds() > _POOLS_GRACE_SECONDS and not child.awaits_hand_back:
                _kill(child.pid)
        try:
            if self._database_away:
                return
            database, settings, stopped = self._database, self._settings, self._stopping.is_set()
            if recover_batches(database, settings, of_parent=self._parent_pid, stopped=stopped):
                dispatch(self._app, database, settings)
            if time.monotonic() - self._swept >= settings.sweep_seconds:
                self._swept = time.monotonic()
                sweep(self._app, database, settings)
        except Exception as error:
            if Fault.of(error) is not Fault.TRANSIENT:
                raise  # the parent starts another supervisor
            log.warning("the supervisor was interrupted and tries again: %s", plain(error))

    def _watch_database(self) -> None:
        while True:
            self._ping()
            time.sleep(_PING_SECONDS)

    def _ping(self) -> None:
        try:
            with reading(self._database) as connection:
                ledger.require_writable(connection)
        except Exception as error:  # any error: the database cannot be used
            if not self._database_away:
                fault = "is read-only" if is_read_only(error) else "does not answer"
                log.warning("the database %s: %s", fault, plain(error))
            self._database_away = True
            self._health.database.report_down()
            return
        self._health.database.report_up()
        if self._database_away:
            self._database_away = False
            # Delay the next sweep, so that leases which expired during the outage are not
            # counted as crashes: their workers get a moment to finish, or to hand back.
            self._swept = time.monotonic()
            log.warning("the database is available again")

    def _watch_root(self, root: LibraryRoot) -> None:
        """Report whether a library root is there; while its mount hangs, nothing is reported."""
        health = self._health.roots[root.name]
        known: list[str] = []
        known_at = -math.inf
        away_since: float | None = None
        while True:
            moment = time.monotonic()
            if moment - known_at > _KNOWN_SECONDS and not self._database_away:
                # Whatever the error is, what was known before still counts.
                with contextlib.suppress(Exception), reading(self._database) as connection:
                    known, known_at = root_names.known_names(connection, root.name), moment
            fault = root.fault(known)
            if fault is not None and away_since is None:
                away_since = moment
                log.warning(
                    "library root %r is not available: %s; its batches are left to other workers",
                    root.name,
                    fault,
                )
            elif fault is None and away_since is not None:
                away_since = None
                log.warning("library root %r is available again: its batches are taken", root.name)
            # After a while its batches are tried anyway. They are returned; if the root is
            # unavailable on every host, their sounds finally get error rows
            # (`workers.reading.host_faults`).
            if away_since is None or moment - away_since > _ROOT_PATIENCE_SECONDS:
                health.report_up()
            else:
                health.report_down()
            time.sleep(_ROOT_SECONDS)

    def _children(self) -> list[MarkerContent]:
        return [
            marker for marker in live_markers(self._folder) if marker.parent_pid == self._parent_pid
        ]

    def _kill_children(self) -> None:
        for child in self._children():
            _kill(child.pid)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended by itself


def main() -> None:
    """Supervise the children of a worker's parent process.

    Arguments: the descriptor of the shared memory, the parent's process id, names of library roots.
    """
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    settings = load_settings()
    health = SharedHealth(int(sys.argv[1]), settings.library_roots)
    set_up_logging(settings.log_level, settings.log_format)
    # An argument and not os.getppid(): the parent may be gone by now.
    supervisor = Supervisor(
        build_app(settings), settings, health, int(sys.argv[2]), roots=sys.argv[3:]
    )
    signal.signal(STOP_NOW, lambda *_: supervisor.stop_now())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    supervisor.run()


if __name__ == "__main__":
    main()
