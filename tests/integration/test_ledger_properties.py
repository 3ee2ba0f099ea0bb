"""The ledger's arithmetic, whatever the batches: what a bad sound costs, and who gives up when.

Orders of steps are the subject of `test_ledger_interleavings`; here processes run freely.
"""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from db.queue import ledger, recovery
from db.queue.recovery import SOLO_ATTEMPTS, AttemptOutcome
from db.results import sounds
from tests.support.databases import connected
from tests.support.ledger_model import (
    DONE,
    claim,
    claims_with_one_poison,
    close,
    committed_rows,
    committed_sounds,
    count_expired,
    drain,
    empty,
    entry,
    read_batch,
    results,
    submit,
)

# The database is emptied by each example itself; making a new one would take most of the time.
either_database = settings(suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def some_database(request, tmp_path_factory):
    """Either database, for all examples of all tests here."""
    if request.param == "sqlite":
        from db.migrate import upgrade

        url = f"sqlite:///{tmp_path_factory.mktemp('properties')}/cratesort.db"
        upgrade(url)
    else:
        server = request.getfixturevalue("postgres_server")
        template = request.getfixturevalue("postgres_template")
        server.create_database("properties", template)
        url = server.database_url("properties")
    with connected(url) as database:
        yield database
    if request.param == "postgres":
        server.drop_database("properties")


@settings(either_database, max_examples=12)
@given(size=st.integers(1, 256), where=st.integers(0, 255))
@example(size=256, where=255)
@example(size=129, where=128)
def test_isolating_a_crashing_sound_takes_few_claims(some_database, size, where):
    # Given a batch with one sound that ends every worker that reads it
    empty(some_database)
    paths = [f"{index}.wav" for index in range(size)]
    poison = paths[where % size]
    submit(some_database, [[(paths, 0)]])
    # When it is worked on until nothing is open, then that takes no more claims than were promised
    most, most_of_poison = claims_with_one_poison(size)
    claims, claimed_paths = drain(some_database, {poison}, most)
    assert claims <= most
    assert claimed_paths[poison] <= most_of_poison
    # And the others have their category, and that one its reason
    statuses = committed_sounds(some_database)
    assert statuses.keys() == set(paths)
    assert [path for path in paths if statuses[path] == "failed"] == [poison]


@settings(either_database, max_examples=12)
@given(hand_backs=st.lists(st.integers(0, 3), min_size=SOLO_ATTEMPTS, max_size=SOLO_ATTEMPTS))
def test_requeueing_does_not_count_towards_giving_up(some_database, hand_backs):
    empty(some_database)
    submit(some_database, [[(["a.wav"], 0)]])
    verdicts = []
    tokens = map(str, count())
    for times in hand_backs:
        # Given a world that is away any number of times
        for _ in range(times):
            claimed = _claim_next(some_database, next(tokens))
            with some_database.begin() as connection:
                assert recovery.hand_back(connection, claimed.id, token=claimed.token)
        # When then a worker dies
        claimed = _claim_next(some_database, next(tokens))
        with some_database.begin() as connection:
            verdicts.append(recovery.count_attempt(connection, claimed.id, token=claimed.token))
    # Then only the silences counted
    assert verdicts == [AttemptOutcome.RETURNED] * (SOLO_ATTEMPTS - 1) + [AttemptOutcome.GIVE_UP]


class Crowd:
    """Workers and sweepers that run freely, and what each of them saw committed."""

    def __init__(self, database, bad, most_rounds):
        self.database, self.bad, self.most_rounds = database, bad, most_rounds
        self.written, self.finished = Counter(), Counter()
        self._tokens, self._lock, self._stopped = count(), threading.Lock(), threading.Event()

    def run(self, seed):
        """Run two of each until nothing is open."""
        with ThreadPoolExecutor(4) as pool:
            sweepers = [pool.submit(self._sweep) for _ in range(2)]
            workers = [pool.submit(self._work, random.Random(seed + n)) for n in range(2)]  # noqa: S311
            try:
                for worker in workers:
                    worker.result(60)
            finally:
                self._stopped.set()
            for sweeper in sweepers:
                sweeper.result(60)

    def _is_done(self):
        return all(row.state is DONE for row in committed_rows(self.database).values())

    def _work(self, choose):
        late = []
        for _ in range(self.most_rounds):
            token = f"token {next(self._tokens)}"
            claimed = _claim_next(self.database, token, choose.choice([-1, 0.05]))
            if claimed is not None and self.bad.isdisjoint(e.path for e in claimed.entries):
                late.append(claimed)
            # Some are closed only after other work, when another worker may have claimed them.
            if claimed is None or choose.random() < 0.5:
                self._close(late)
                late = []
            if claimed is None and self._is_done():
                return

    def _close(self, late):
        for claimed in late:
            with self.database.begin() as connection:
                held = close(connection, claimed)
            self._record([claimed] if held else [])

    def _sweep(self):
        while not self._stopped.is_set():
            with self.database.begin() as connection:
                batch = verdict = None
                expired = recovery.next_expired(connection)
                if expired is not None:
                    batch = read_batch(connection, expired)
                    verdict = count_expired(connection, batch)
            self._record([batch] if verdict is AttemptOutcome.GIVE_UP else [])

    def _record(self, closed):
        with self._lock:
            for batch in closed:
                self.finished[batch.id] += 1
                self.written.update(entry.path for entry in batch.entries)


@settings(either_database, max_examples=6, phases=[Phase.generate])
@given(
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=6),
    poison=st.sets(st.integers(0, 20), max_size=3),
    seed=st.integers(0, 2**16),
)
def test_two_workers_and_two_sweepers_write_every_sound_once(some_database, sizes, poison, seed):
    # Given sounds that silence everybody, and workers that a sweep may overtake at any moment
    empty(some_database)
    packed = [[f"{n}/{i}.wav" for i in range(size)] for n, size in enumerate(sizes)]
    every = [path for paths in packed for path in paths]
    bad = {every[index % len(every)] for index in poison}
    submit(some_database, [[(paths, 0) for paths in packed]])
    # When two of each run freely
    crowd = Crowd(some_database, bad, most_rounds=5000)
    crowd.run(seed)
    # Then each batch was closed once, and each sound written once
    rows = committed_rows(some_database)
    assert {row.state for row in rows.values()} == {DONE}
    assert crowd.finished == Counter(rows.keys())
    assert crowd.written == Counter(every)
    assert sum(sum(row.outcome) for row in rows.values()) == len(every)
    statuses = committed_sounds(some_database)
    assert statuses.keys() == set(every)
    assert {statuses[path] for path in bad} <= {"failed"}


def _claim_next(database, token, lease_seconds=-1):
    with database.begin() as connection:
        batch_id = ledger.next_open(connection)
    if batch_id is None:
        return None
    with database.begin() as connection:
        return claim(connection, batch_id, token=token, worker="w", lease_seconds=lease_seconds)


@settings(either_database, max_examples=6, phases=[Phase.generate])
@given(shares=st.lists(st.permutations([f"{i}.wav" for i in range(12)]), min_size=4, max_size=4))
def test_concurrent_batches_of_the_same_sounds_leave_one_row_each(some_database, shares):
    # Given the same sounds in four batches, each in an order of its own
    empty(some_database)
    start = threading.Barrier(4)

    def save(paths):
        with some_database.connect() as connection:
            start.wait(30)
            with connection.begin():
                sounds.save(connection, results([entry(path) for path in paths]))

    # When all four are saved at once, then none of them deadlocks
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(save, shares))
    assert committed_sounds(some_database).keys() == set(shares[0])


def test_the_other_sound_of_a_pair_inherits_no_attempts(some_database):
    # Given a pair that ended a worker once
    empty(some_database)
    submit(some_database, [[(["bad.wav", "mate.wav"], 1)]])
    # When its next worker dies too and leaves a crash marker that names which of the two it was
    claimed = _claim_next(some_database, "first")
    with some_database.begin() as connection:
        verdict = recovery.isolate(connection, claimed.id, token=claimed.token, index=0)
        assert verdict is AttemptOutcome.ISOLATED
    # Then the other, alone for the first time, may crash its worker as often as any sound alone
    verdicts = []
    for number in range(SOLO_ATTEMPTS):
        mate = _claim_next(some_database, f"alone {number}")
        assert [entry.path for entry in mate.entries] == ["mate.wav"]
        with some_database.begin() as connection:
            verdicts.append(recovery.count_attempt(connection, mate.id, token=mate.token))
        if verdicts[-1] is AttemptOutcome.GIVE_UP:
            break
    assert len(verdicts) == SOLO_ATTEMPTS


# None: never analyzed. SQLite has no such plans.
@pytest.mark.parametrize("batches_when_analyzed", [None, 1, 2])
def test_a_round_is_no_larger_than_its_limit(postgres_url, batches_when_analyzed):
    with connected(postgres_url) as database:
        # Given a table that the database last counted when it was small, or never
        submit(database, [[([f"{n}.wav"], 0)] for n in range(batches_when_analyzed or 0)])
        if batches_when_analyzed is not None:
            with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE batches"))
        # When thirty batches more are written, and a round of three is requested
        with database.begin() as connection:
            ingest_id = ledger.open_ingest(connection, "a test")
            for number in range(30):
                ledger.add_batch(connection, ingest_id, "library", [entry(f"more {number}.wav")])
        with database.begin() as connection:
            taken = ledger.take_pending(connection, window=100, limit=3)
        # Then three are taken
        assert len(taken) == 3
