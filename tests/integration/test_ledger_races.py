"""The ledger under several processes at once: batches are shared out, never doubled."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest

from db.queue import ledger, recovery
from db.states import BatchState
from tests.support.databases import connected

THREADS = 4


def at_once(url, work):
    """Run ``work(engine, number)`` in several threads, each with its own engine, together."""
    start = threading.Barrier(THREADS)

    def run(number):
        with connected(url) as engine:
            with engine.connect():
                start.wait()
            return work(engine, number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_dispatchers_at_once_take_different_batches(add_batches, database_url):
    add_batches(*[1] * 40)

    def take(engine, _):
        taken = []
        for _ in range(10):
            with engine.begin() as connection:
                some = ledger.take_pending(connection, window=1000, limit=3)
            taken += [batch.id for batch in some]
        return taken

    shares = at_once(database_url, take)
    assert sorted(chain(*shares)) == list(range(1, 41))


def test_one_of_many_claims_at_once_wins(add_batches, database, database_url):
    add_batches(*[1] * 10)
    with database.begin() as connection:
        ledger.take_pending(connection, window=100, limit=100)

    def claim(engine, number):
        won = []
        for batch_id in range(1, 11):
            with engine.begin() as connection:
                claimed = ledger.claim(
                    connection, batch_id, token=str(number), worker="w", lease_seconds=60
                )
            won += [batch_id] if claimed else []
        return won

    shares = at_once(database_url, claim)
    assert sorted(chain(*shares)) == list(range(1, 11))


def test_workers_without_messages_share_out_all_batches(add_batches, database_url, batch_rows):
    add_batches(*[1] * 20)

    def work(engine, number):
        done = []
        while True:
            with engine.begin() as connection:
                batch_id = ledger.next_open(connection)
            if batch_id is None:
                return done
            with engine.begin() as connection:
                claimed = ledger.claim(
                    connection, batch_id, token=str(number), worker="w", lease_seconds=60
                )
            if claimed is not None:
                with engine.begin() as connection:
                    assert ledger.finish(
                        connection, batch_id, token=str(number), classified=1, failed=0
                    )
                done.append(batch_id)

    shares = at_once(database_url, work)
    assert sorted(chain(*shares)) == list(range(1, 21))
    assert {row["state"] for row in batch_rows()} == {BatchState.DONE}


def test_concurrent_sweeps_count_each_expired_lease_once(
    add_batches, claim, database_url, batch_rows
):
    add_batches(*[4] * 12)
    for batch_id in range(1, 13):
        claim(batch_id, lease_seconds=-1)

    def sweep(engine, _):
        while True:
            with engine.begin() as connection:
                expired = recovery.next_expired(connection)
                if expired is None:
                    return
                recovery.count_attempt(connection, expired.id, token=expired.token)

    at_once(database_url, sweep)
    assert [(row["state"], row["attempts"]) for row in batch_rows()] == [("pending", 1)] * 12


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_dispatcher_on_postgres_skips_rows_that_another_has_locked(add_batches, database_url):
    add_batches(1, 1)
    with (
        connected(database_url) as first,
        connected(database_url) as second,
        first.begin() as holding,
    ):
        assert [batch.id for batch in ledger.take_pending(holding, window=9, limit=1)] == [1]
        # Not committed yet; the second neither waits nor takes the same.
        with second.begin() as passing:
            taken = ledger.take_pending(passing, window=9, limit=9)
    assert [batch.id for batch in taken] == [2]
