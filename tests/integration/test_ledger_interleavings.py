"""The ledger under every order of steps: transactions of several processes, a statement at a time.

Hypothesis chooses who does what next, who commits, who rolls back (a process that died) and who is
made to wait. After each commit the rows must be those of the model. A transaction that commits
later does so on top of what is there, so the model is told of each at its commit.
"""

from concurrent.futures import ThreadPoolExecutor, wait

from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from db import ledger, recovery
from tests.integration.conftest import connected
from tests.integration.ledger_model import (
    DONE,
    IN_FLIGHT,
    PENDING,
    QUEUED,
    RUNNING,
    blame_silent,
    claims_with_one_poison,
    close,
    committed_rows,
    committed_sounds,
    drain,
    empty,
    submit,
)

PROCESSES = ("Ann", "Ben", "Cyd", "Dan")
WINDOW, ROUND = 4, 2

numbers = st.integers(0, 5)


class Transaction:
    """One open transaction: what it locked, what it waits for, what its commit will have done."""

    def __init__(self, name, connection):
        self.name = name
        self.connection = connection
        self.begun = connection.begin()
        self.locked = set()
        self.effects = []
        self.running = None
        self.then = None
        self.wants = None
        self.second_step = None


class Interleavings(RuleBasedStateMachine):
    """Up to four processes on PostgreSQL; one at a time on SQLite, which knows one writer."""

    def __init__(self, database, threads, monitor):
        super().__init__()
        self.database, self.threads, self.monitor = database, threads, monitor
        self.most_open = len(PROCESSES) if monitor is not None else 1
        self.open, self.claims, self.tokens = {}, [], 0
        self.consistent = False

    @initialize(sizes=st.lists(st.integers(1, 5), min_size=2, max_size=5), poison=numbers)
    def an_ingest_or_two(self, sizes, poison):
        packed = [[f"{n}/{i}.wav" for i in range(size)] for n, size in enumerate(sizes)]
        empty(self.database)
        self.model = submit(self.database, [packed[:2], packed[2:]])
        self.submitted = self.model.paths()
        every = [path for paths in packed for path in paths]
        self.poison = {every[poison % len(every)]}
        note(f"batches of {sizes}; {self.poison} silences everybody")

    # The machinery: statements run in threads, because some must wait for another's commit.

    def _begin(self):
        name = next(name for name in PROCESSES if name not in self.open)
        self.open[name] = Transaction(name, self.database.connect())
        return self.open[name]

    def _run(self, transaction, call, then, *, wants=None, doing):
        transaction.then, transaction.wants = then, wants
        transaction.running = self.threads.submit(call, transaction.connection)
        note(f"{transaction.name} {doing}")
        self._settle(transaction)

    def _settle(self, transaction):
        while not wait([transaction.running], timeout=0.01).done:
            if self.monitor is not None and self._is_blocked(transaction):
                note(f"    {transaction.name} waits")
                # A wait ends with a lock on the row, whatever the statement then makes of it.
                transaction.locked.add(transaction.wants)
                return
        result, transaction.running = transaction.running.result(), None
        note(f"    {transaction.name} got {result!r}")
        transaction.then(result)

    def _is_blocked(self, transaction):
        pid = transaction.connection.connection.driver_connection.info.backend_pid
        query = text("SELECT cardinality(pg_blocking_pids(:pid)) > 0")
        return self.monitor.execute(query, {"pid": pid}).scalar_one()

    def _locked(self):
        return {batch_id for one in self.open.values() for batch_id in one.locked}

    def _free(self, *states):
        return [
            batch_id
            for batch_id, row in sorted(self.model.rows.items())
            if row.state in states and batch_id not in self._locked()
        ]

    def _ready(self):
        return [one for one in self.open.values() if one.running is None]

    def _may_begin(self):
        return len(self.open) < self.most_open

    def _is_waited_for(self, batch_id):
        # Which of two waiting processes comes first is PostgreSQL's affair, not ours.
        return any(one.running and one.wants == batch_id for one in self.open.values())

    def _end(self, transaction, *, commit):
        if commit:
            transaction.begun.commit()
            for effect in transaction.effects:
                effect()
            self.model.adopt(committed_rows(self.database))
        else:
            transaction.begun.rollback()
        transaction.connection.close()
        del self.open[transaction.name]
        for waiting in list(self.open.values()):
            if waiting.running is not None:
                self._settle(waiting)

    # Forwards

    @precondition(_may_begin)
    @rule()
    def take_pending(self):
        in_flight = sum(row.state in IN_FLIGHT for row in self.model.rows.values())
        expected = self._free(PENDING)[: max(0, min(ROUND, WINDOW - in_flight))]
        self._choose(
            lambda connection: ledger.take_pending(connection, window=WINDOW, limit=ROUND),
            expected,
            "takes pending batches",
        )

    @precondition(_may_begin)
    @rule()
    def refresh_stale(self):
        self._choose(
            lambda connection: ledger.refresh_stale(connection, stale_seconds=-60, limit=ROUND),
            self._free(QUEUED)[:ROUND],
            "announces stale batches",
        )

    def _choose(self, call, expected, doing):
        one = self._begin()

        def then(taken):
            assert [batch.id for batch in taken] == expected
            for batch in taken:
                assert batch.paths == self.model.rows[batch.id].paths
                one.effects.append(lambda batch=batch: self.model.queue(batch.id))
            one.locked.update(expected)

        self._run(one, call, then, doing=doing)

    @precondition(_may_begin)
    @rule()
    def next_open(self):
        one = self._begin()
        expected = next(iter(self._free(PENDING, QUEUED)), None)

        def then(batch_id):
            assert batch_id == expected
            if batch_id is not None:
                one.locked.add(batch_id)
                one.effects.append(lambda: self.model.queue(batch_id, past_window=True))

        self._run(one, ledger.next_open, then, doing="asks for the next open batch")

    @precondition(_may_begin)
    @rule(which=numbers)
    def unqueue(self, which):
        batch_id = sorted(self.model.rows)[which % len(self.model.rows)]
        if self._is_waited_for(batch_id):
            return
        one = self._begin()

        def then(_):
            one.locked.add(batch_id)
            one.effects.append(lambda: self.model.unqueue(batch_id))

        # Only a queued row is locked; one of another state is not looked at again.
        if self.model.rows[batch_id].state is not QUEUED:
            then = lambda _: None  # noqa: E731
        self._run(
            one,
            lambda connection: ledger.unqueue(connection, [batch_id]),
            then,
            wants=batch_id,
            doing=f"could not send batch {batch_id}",
        )

    @precondition(_may_begin)
    @rule(which=numbers, expired=st.booleans(), worker=st.sampled_from(["north", "south"]))
    def claim(self, which, expired, worker):
        # Mostly one that is queued; a stale message may name any.
        queued = [i for i, row in self.model.rows.items() if row.state is QUEUED]
        candidates = sorted(queued if queued and which else self.model.rows)
        batch_id = candidates[which % len(candidates)]
        if self._is_waited_for(batch_id):
            return
        one = self._begin()
        self.tokens += 1
        token = f"token {self.tokens}"

        def then(claimed):
            if claimed is None:
                assert self.model.rows[batch_id].state is not QUEUED, "a queued batch was refused"
                return
            one.locked.add(batch_id)
            one.effects.append(lambda: self.model.claim(claimed, worker, expired=expired))
            one.effects.append(lambda: self.claims.append(claimed))

        self._run(
            one,
            lambda connection: ledger.claim(
                connection,
                batch_id,
                token=token,
                worker=worker,
                lease_seconds=-1 if expired else 600,
            ),
            then,
            wants=batch_id,
            doing=f"claims batch {batch_id} for {worker}, {'already over' if expired else 'long'}",
        )

    # By whoever holds, or held, a batch

    def _by_holder(self, which, call, effect, doing):
        """Let one of the latest holders act; without the claim nothing may happen."""
        claimed = self.claims[-1 - which % len(self.claims)]
        if self._is_waited_for(claimed.id):
            return
        one = self._begin()

        def then(result):
            held = self.model.holds(claimed.id, claimed.token)
            assert bool(result) == held
            if held:
                one.locked.add(claimed.id)
                one.effects.append(lambda: effect(claimed, result))

        self._run(
            one,
            lambda connection: call(connection, claimed),
            then,
            wants=claimed.id,
            doing=f"{doing} batch {claimed.id} with {claimed.token}",
        )

    def _may_act(self):
        return self._may_begin() and bool(self.claims)

    @precondition(_may_act)
    @rule(which=numbers)
    def finish(self, which):
        claimed = self.claims[-1 - which % len(self.claims)]
        paths = {entry.path for entry in claimed.entries}
        if not paths.isdisjoint(self.poison):
            return
        self._by_holder(
            which,
            close,
            lambda claimed, _: self.model.finish(claimed.id, claimed.token, len(paths), 0),
            "finishes",
        )

    @precondition(_may_act)
    @rule(which=numbers)
    def hand_back(self, which):
        self._by_holder(
            which,
            lambda connection, claimed: recovery.hand_back(
                connection, claimed.id, token=claimed.token
            ),
            lambda claimed, _: self.model.hand_back(claimed.id, claimed.token),
            "hands back",
        )

    @precondition(_may_act)
    @rule(which=numbers)
    def blame(self, which):
        self._by_holder(which, blame_silent, self._blamed, "blames")

    def _blamed(self, claimed, verdict):
        self.model.blame(claimed.id, claimed.token, verdict)
        if verdict is recovery.Verdict.HOPELESS:
            self.model.finish(claimed.id, claimed.token, 0, 1)

    # Sweeps, and runs that find a dead one's batches: look first, act in a second step

    @precondition(_may_begin)
    @rule()
    def reap(self):
        expected = [i for i in self._free(RUNNING) if i in self.model.expired]

        def act(connection, found):
            return [(silent, blame_silent(connection, silent)) for silent in found]

        self._look(recovery.reap, expected, act, self._blamed, "looks for expired leases")

    @precondition(_may_begin)
    @rule(worker=st.sampled_from(["north", "south"]), index=st.integers(0, 3), note_=st.booleans())
    def take_over(self, worker, index, note_):
        expected = [i for i in self._free(RUNNING) if self.model.rows[i].worker == worker]

        def is_suspected(batch):
            size = len(batch.entries)
            # A pair blamed before: `test_the_mate_of_a_singled_out_sound...` says what is wrong.
            return note_ and index < size and not (size == 2 and batch.attempts > 0)

        def act(connection, found):
            for batch in found:
                if is_suspected(batch):
                    assert recovery.single_out(connection, batch.id, token=batch.token, index=index)
                else:
                    assert recovery.hand_back(connection, batch.id, token=batch.token)
            return [(batch, is_suspected(batch)) for batch in found]

        def effect(batch, singled_out):
            if singled_out:
                self.model.single_out(batch.id, batch.token, index)
            else:
                self.model.hand_back(batch.id, batch.token)

        self._look(
            lambda connection: recovery.held_by_worker(connection, worker),
            expected,
            act,
            effect,
            f"finds {worker} dead{f', reading sound {index}' if note_ else ''}",
        )

    def _look(self, find, expected, act, effect, doing):
        one = self._begin()

        def acted(pairs):
            for batch, outcome in pairs:
                one.effects.append(lambda b=batch, o=outcome: effect(b, o))

        def looked(found):
            assert [batch.id for batch in found] == expected
            one.locked.update(expected)
            one.second_step = lambda: self._run(
                one, lambda connection: act(connection, found), acted, doing="acts on those"
            )

        self._run(one, find, looked, doing=doing)

    @precondition(lambda self: any(one.second_step for one in self._ready()))
    @rule(which=numbers)
    def act_on_what_was_found(self, which):
        ready = [one for one in self._ready() if one.second_step]
        one = ready[which % len(ready)]
        step, one.second_step = one.second_step, None
        step()

    @precondition(_ready)
    @rule(which=numbers)
    def commit(self, which):
        one = self._ready()[which % len(self._ready())]
        note(f"{one.name} commits")
        self._end(one, commit=True)

    @precondition(_ready)
    @rule(which=numbers)
    def die(self, which):
        one = self._ready()[which % len(self._ready())]
        note(f"{one.name} dies")
        self._end(one, commit=False)

    # What always holds

    @invariant()
    def the_rows_are_the_models(self):
        self.consistent = False
        rows = committed_rows(self.database)
        assert rows == self.model.rows
        assert self.model.paths() == self.submitted
        done = {p: r for r in rows.values() if r.state is DONE for p in r.paths}
        assert committed_sounds(self.database).keys() == done.keys()
        assert all(sum(row.outcome) == len(row.paths) for row in done.values())
        self.consistent = True

    @invariant()
    def the_window_is_overshot_by_a_round_each_at_most(self):
        in_flight = sum(row.state in IN_FLIGHT for row in self.model.rows.values())
        overshoot = (self.most_open - 1) * ROUND
        assert in_flight - len(self.model.past_window) <= WINDOW + overshoot

    def teardown(self):
        """Let everybody die; what is left is worked off, if all was well until here."""
        consistent = self.consistent
        while self._ready():
            self._end(self._ready()[0], commit=False)
        if not consistent:
            return
        left = [row.paths for row in self.model.rows.values() if row.state is not DONE]
        most = sum(claims_with_one_poison(len(paths))[0] for paths in left)
        drain(self.database, self.poison, most)
        # Then every sound has its one row, and only what had to be given up has no category
        hopeless = self.poison | self.model.given_up
        statuses = committed_sounds(self.database)
        assert statuses.keys() == {path for _, path in self.submitted}
        assert {path for path, status in statuses.items() if status == "failed"} == hopeless


def check(url):
    with connected(url) as database, ThreadPoolExecutor(len(PROCESSES)) as threads:
        monitor = None
        if database.dialect.name == "postgresql":
            monitor = database.connect().execution_options(isolation_level="AUTOCOMMIT")
            # Statistics taken in the middle of a run would make other plans of the same test:
            # `test_a_round_is_no_larger_than_was_asked_for` is about those.
            monitor.execute(text("ALTER TABLE batches SET (autovacuum_enabled = false)"))
        run_state_machine_as_test(
            lambda: Interleavings(database, threads, monitor),
            settings=settings(
                max_examples=40,
                stateful_step_count=40,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        if monitor is not None:
            monitor.close()


def test_whatever_the_order_the_ledger_does_what_it_says(database_url):
    check(database_url)
