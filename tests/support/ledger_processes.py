"""Several processes' transactions, a statement at a time, in the order a test chooses.

Statements run in threads, because on PostgreSQL some must wait for another's commit. Not here: what
the statements are.
"""

from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

from hypothesis import note
from sqlalchemy import text

from tests.support.databases import connected

NAMES = ("Ann", "Ben", "Cyd", "Dan")


class Transaction:
    """One open transaction: what it locked, what it waits for, what its commit will have done."""

    def __init__(self, name, connection):
        self.name = name
        self.connection = connection
        self.begun = connection.begin()
        self.locked = set()
        self.effects = []
        self.statement = None
        self.then = None
        self.wants = None
        self.second_step = None


class Processes:
    """Up to four on PostgreSQL; one at a time on SQLite, which knows one writer."""

    def __init__(self, database, threads, monitor):
        self.database, self._threads, self._monitor = database, threads, monitor
        self.most = len(NAMES) if monitor is not None else 1
        self.open = {}

    def may_begin(self):
        return len(self.open) < self.most

    def begin(self):
        name = next(name for name in NAMES if name not in self.open)
        self.open[name] = Transaction(name, self.database.connect())
        return self.open[name]

    def run(self, one, call, then, *, doing, wants=None):
        """Execute ``call(connection)``; its result goes to `then`, once it no longer waits."""
        one.then, one.wants = then, wants
        one.statement = self._threads.submit(call, one.connection)
        note(f"{one.name} {doing}")
        self._settle(one)

    def _settle(self, one):
        while not wait([one.statement], timeout=0.01).done:
            if self._is_blocked(one):
                note(f"    {one.name} waits")
                # A wait ends with a lock on the row, whatever the statement then makes of it.
                one.locked.add(one.wants)
                return
        result, one.statement = one.statement.result(), None
        note(f"    {one.name} got {result!r}")
        one.then(result)

    def _is_blocked(self, one):
        if self._monitor is None:
            return False
        pid = one.connection.connection.driver_connection.info.backend_pid
        query = text("SELECT cardinality(pg_blocking_pids(:pid)) > 0")
        return self._monitor.execute(query, {"pid": pid}).scalar_one()

    def locked(self):
        return {batch_id for one in self.open.values() for batch_id in one.locked}

    def ready(self):
        return [one for one in self.open.values() if one.statement is None]

    def is_waited_for(self, batch_id):
        # Which of two waiting processes comes first is PostgreSQL's affair, not ours.
        return any(one.statement and one.wants == batch_id for one in self.open.values())

    def end(self, one, *, commit, after_commit=lambda: None):
        """Commit, or die; who waited for this goes on."""
        note(f"{one.name} {'commits' if commit else 'dies'}")
        (one.begun.commit if commit else one.begun.rollback)()
        one.connection.close()
        del self.open[one.name]
        if commit:
            for effect in one.effects:
                effect()
            after_commit()
        for waiting in list(self.open.values()):
            if waiting.statement is not None:
                self._settle(waiting)


@contextmanager
def several_processes(url):
    """Give the `Processes` on a database."""
    with connected(url) as database, ThreadPoolExecutor(len(NAMES)) as threads:
        if database.dialect.name != "postgresql":
            yield Processes(database, threads, None)
            return
        with database.connect().execution_options(isolation_level="AUTOCOMMIT") as monitor:
            # Statistics taken in the middle of a run would make other plans of the same test:
            # `test_a_round_is_no_larger_than_its_limit` is about those.
            monitor.execute(text("ALTER TABLE batches SET (autovacuum_enabled = false)"))
            yield Processes(database, threads, monitor)
