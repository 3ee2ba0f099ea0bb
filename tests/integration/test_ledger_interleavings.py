"""The ledger under every order of steps: transactions of several processes, a statement at a time.

Hypothesis chooses who does what next, who commits, who dies before that, and who is made to wait.
After each commit the rows must be those of the model. Row locks order the commits that touch one
batch, so the model is informed of a transaction's steps when it commits.
"""

from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from db.queue import ledger, recovery
from db.queue.recovery import SOLO_ATTEMPTS, AttemptOutcome
from tests.support.ledger_model import (
    DONE,
    IN_FLIGHT,
    PENDING,
    QUEUED,
    RUNNING,
    claim,
    claims_with_one_poison,
    close,
    committed_rows,
    committed_sounds,
    count_expired,
    drain,
    empty,
    submit,
)
from tests.support.ledger_processes import several_processes

WINDOW, ROUND = 4, 2

numbers = st.integers(0, 5)
workers = st.sampled_from(["north", "south"])
#: How a transaction goes on after its statement; the others get to act while it stays open.
endings = st.sampled_from(["commits", "commits", "commits", "stays open", "stays open", "dies"])


class Interleavings(RuleBasedStateMachine):
    def __init__(self, processes):
        super().__init__()
        self.processes, self.database = processes, processes.database
        self.claims, self.tokens = [], 0
        self.consistent = False

    @initialize(
        batches=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2)), min_size=2, max_size=5),
        poison=numbers,
    )
    def an_ingest_or_two(self, batches, poison):
        packed = [
            ([f"{n}/{i}.wav" for i in range(size)], min(blames, SOLO_ATTEMPTS - 1 - (size > 1)))
            for n, (size, blames) in enumerate(batches)
        ]
        empty(self.database)
        self.model = submit(self.database, [packed[:2], packed[2:]])
        self.submitted = self.model.paths()
        every = [path for paths, _ in packed for path in paths]
        self.poison = every[poison % len(every)]
        note(f"{packed}; {self.poison} silences everybody")
        # All are claimed at first, because the interesting cases are about claimed batches.
        for number in range(len(packed)):
            self._next_open("commits")
            self._claim(number + 1, number % 2 == 0, ("north", "south")[number // 2 % 2], "commits")

    def _end(self, one, how):
        if how != "stays open" and one.statement is None:
            self.processes.end(
                one,
                commit=how == "commits",
                after_commit=lambda: self.model.adopt(committed_rows(self.database)),
            )

    def _free(self, *states):
        return [
            batch_id
            for batch_id, row in sorted(self.model.rows.items())
            if row.state in states and batch_id not in self.processes.locked()
        ]

    def _may_begin(self):
        return self.processes.may_begin()

    def _has(self, *states):
        return any(row.state in states for row in self.model.rows.values())

    # Queueing

    @precondition(lambda self: self._may_begin() and self._has(PENDING))
    @rule(how=endings)
    def take_pending(self, how):
        in_flight = sum(row.state in IN_FLIGHT for row in self.model.rows.values())
        self._choose(
            lambda connection: ledger.take_pending(connection, window=WINDOW, limit=ROUND),
            self._free(PENDING)[: max(0, min(ROUND, WINDOW - in_flight))],
            how,
            "takes pending batches",
        )

    def _choose(self, call, expected, how, doing):
        one = self.processes.begin()

        def then(taken):
            assert [batch.id for batch in taken] == expected
            for batch in taken:
                row = self.model.rows[batch.id]
                assert batch.paths == row.paths
                assert batch.again == (row.was_claimed and not row.suspect)
                one.effects.append(lambda batch=batch: self.model.queue(batch.id))
            one.locked.update(expected)

        self.processes.run(one, call, then, doing=doing)
        self._end(one, how)

    @precondition(lambda self: self._may_begin() and self._has(QUEUED))
    @rule(how=endings, stale=st.booleans(), which=numbers)
    def announce_again_or_not_at_all(self, how, stale, which):
        if stale:
            self._choose(
                lambda connection: ledger.refresh_stale(connection, stale_seconds=-60, limit=ROUND),
                self._free(QUEUED)[:ROUND],
                how,
                "announces stale batches",
            )
            return
        batch_id = sorted(self.model.rows)[which % len(self.model.rows)]
        if self.processes.is_waited_for(batch_id):
            return
        one = self.processes.begin()
        was_queued = self.model.rows[batch_id].state is QUEUED

        def then(_):
            if was_queued:
                one.locked.add(batch_id)
                one.effects.append(lambda: self.model.unqueue(batch_id))

        self.processes.run(
            one,
            lambda connection: ledger.unqueue(connection, [batch_id]),
            then,
            doing=f"could not send batch {batch_id}",
            wants=batch_id,
        )
        self._end(one, how)

    def _next_open(self, how):
        one = self.processes.begin()
        expected = next(iter(self._free(PENDING, QUEUED)), None)

        def then(batch_id):
            assert batch_id == expected
            if batch_id is not None:
                one.locked.add(batch_id)
                one.effects.append(lambda: self.model.queue(batch_id, past_window=True))

        self.processes.run(one, ledger.next_open, then, doing="asks for the next open batch")
        self._end(one, how)

    @precondition(lambda self: self._may_begin() and self._has(PENDING, QUEUED))
    @rule(which=numbers, expired=st.booleans(), worker=workers, how=endings)
    def claim(self, which, expired, worker, how):
        rows = sorted(self.model.rows.items())
        queued = [batch_id for batch_id, row in rows if row.state is QUEUED]
        if which == 0:  # by an old message, whatever became of the batch
            self._claim(rows[self.tokens % len(rows)][0], expired, worker, how)
        elif queued:
            self._claim(queued[which % len(queued)], expired, worker, how)
        else:
            self._next_open(how)

    def _claim(self, batch_id, expired, worker, how):
        if self.processes.is_waited_for(batch_id):
            return
        one = self.processes.begin()
        self.tokens += 1
        token, lease_seconds = f"token {self.tokens}", -1 if expired else 600

        def then(claimed):
            if claimed is None:
                assert self.model.rows[batch_id].state is not QUEUED, "a queued batch was refused"
                return
            one.locked.add(batch_id)
            one.effects.append(lambda: self.model.claim(claimed, worker, expired=expired))
            one.effects.append(lambda: self.claims.append(claimed))

        self.processes.run(
            one,
            lambda connection: claim(
                connection, batch_id, token=token, worker=worker, lease_seconds=lease_seconds
            ),
            then,
            doing=f"claims batch {batch_id} for {worker} under {token}, {lease_seconds} s",
            wants=batch_id,
        )
        self._end(one, how)

    # By workers with a claim, or with a lost one

    @precondition(lambda self: self._may_begin() and self.claims)
    @rule(
        which=numbers,
        what=st.sampled_from(["finish", "finish", "hand_back", "count_attempt", "count_attempt"]),
        how=endings,
    )
    def act_as_holder(self, which, what, how):
        held = [one for one in self.claims if self.model.holds(one.id, one.token)]
        # Or one that lost its batch, preferably to a worker that is processing it.
        lost = [one for one in self.claims if one not in held]
        replaced = [one for one in lost if self.model.rows[one.id].state is RUNNING]
        holders = (held if which > 1 else replaced or lost) or self.claims
        claimed = holders[(which + self.tokens) % len(holders)]
        poisoned = claimed in held and self.poison in [entry.path for entry in claimed.entries]
        if self.processes.is_waited_for(claimed.id):
            return
        one = self.processes.begin()
        call, effect = {
            "finish": (close, self._finished),
            "hand_back": (_hand_back, self._handed_back),
            "count_attempt": (count_expired, self._attempt_counted),
        }["count_attempt" if poisoned and what == "finish" else what]

        def then(result):
            held = self.model.holds(claimed.id, claimed.token)
            assert bool(result) == held, "the token decides"
            if held:
                one.locked.add(claimed.id)
                one.effects.append(lambda: effect(claimed, result))

        self.processes.run(
            one,
            lambda connection: call(connection, claimed),
            then,
            doing=f"{call.__name__}s batch {claimed.id} with {claimed.token}",
            wants=claimed.id,
        )
        self._end(one, how)

    def _finished(self, claimed, _):
        self.model.finish(claimed.id, claimed.token, len(claimed.entries), 0)

    def _handed_back(self, claimed, _):
        self.model.hand_back(claimed.id, claimed.token)

    def _attempt_counted(self, claimed, verdict, index=None):
        if index is None:
            self.model.count_attempt(claimed.id, claimed.token, verdict)
        else:
            self.model.single_out(claimed.id, claimed.token, verdict, index)
        if verdict is AttemptOutcome.GIVE_UP:
            self.model.finish(claimed.id, claimed.token, 0, 1)

    # Sweeps, and runs that find a dead one's batches: look first, act in a second step

    @precondition(lambda self: self._may_begin() and self._has(RUNNING))
    @rule(how=endings)
    def reap(self, how):
        def one_at_a_time(connection):
            expired = recovery.next_expired(connection)
            return [] if expired is None else [expired]

        def act(connection, found):
            return [(expired, count_expired(connection, expired)) for expired in found]

        expected = [i for i in self._free(RUNNING) if i in self.model.expired][:1]
        self._look(
            one_at_a_time, expected, act, self._attempt_counted, how, "looks for an expired lease"
        )

    @precondition(lambda self: self._may_begin() and self._has(RUNNING))
    @rule(worker=workers, index=st.none() | st.integers(0, 2), how=endings)
    def take_over(self, worker, index, how):
        def act(connection, found):
            return [(batch, count_expired(connection, batch, index)) for batch in found]

        def effect(batch, verdict):
            self._attempt_counted(batch, verdict, index)

        self._look(
            lambda connection: recovery.claimed_by_worker(connection, worker),
            [i for i in self._free(RUNNING) if self.model.rows[i].worker == worker],
            act,
            effect,
            how,
            f"finds {worker} dead, reading sound {index}",
        )

    def _look(self, find, expected, act, effect, how, doing):
        one = self.processes.begin()

        def acted(pairs):
            for batch, outcome in pairs:
                one.effects.append(lambda b=batch, o=outcome: effect(b, o))

        def act_on_them():
            self.processes.run(
                one, lambda connection: act(connection, one.found), acted, doing="acts on those"
            )

        def looked(found):
            assert [batch.id for batch in found] == expected
            one.locked.update(expected)
            one.found, one.second_step = found, act_on_them

        self.processes.run(one, find, looked, doing=doing)
        if how == "commits":
            self._take_second_step(one)
        self._end(one, how)

    def _take_second_step(self, one):
        if one.second_step is not None:
            step, one.second_step = one.second_step, None
            step()

    @precondition(lambda self: self.processes.ready())
    @rule(which=numbers, how=endings)
    def go_on(self, which, how):
        ready = self.processes.ready()
        one = ready[which % len(ready)]
        self._take_second_step(one)
        self._end(one, how)

    # What always holds

    @invariant()
    def the_rows_are_the_models(self):
        self.consistent = False
        rows = committed_rows(self.database)
        assert rows == self.model.rows
        assert self.model.paths() == self.submitted, "no path is lost, none is in two batches"
        done = {path for _, path in self.model.done_paths}
        assert committed_sounds(self.database).keys() == done
        self.consistent = True

    @invariant()
    def the_window_is_overshot_by_a_round_each_at_most(self):
        in_flight = sum(row.state in IN_FLIGHT for row in self.model.rows.values())
        overshoot = (self.processes.most - 1) * ROUND
        assert in_flight - len(self.model.past_window) <= WINDOW + overshoot

    def teardown(self):
        """Let everybody die; what is left is worked off, if all was well until here."""
        consistent = self.consistent
        while self.processes.ready():
            self._end(self.processes.ready()[0], "dies")
        if not consistent:
            return
        left = [row.paths for row in self.model.rows.values() if row.state is not DONE]
        most_claims = sum(claims_with_one_poison(len(paths))[0] for paths in left)
        drain(self.database, {self.poison}, most_claims)
        # Then every sound has its one row, and only what had to be given up has no category
        statuses = committed_sounds(self.database)
        failed = {path for path, status in statuses.items() if status == "failed"}
        assert statuses.keys() == {path for _, path in self.submitted}
        assert failed == self.model.given_up | {self.poison}


def _hand_back(connection, claimed):
    return recovery.hand_back(connection, claimed.id, token=claimed.token)


def test_the_ledger_behaves_as_its_model_in_any_order(database_url):
    with several_processes(database_url) as processes:
        run_state_machine_as_test(
            lambda: Interleavings(processes),
            settings=settings(
                max_examples=20,
                stateful_step_count=40,
                # Shrinking takes minutes here, and the notes of a whole run are readable.
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
