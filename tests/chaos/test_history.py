"""The steps of batches, as the run's database notes them."""

import pytest
from sqlalchemy import update

from db.engine import create_engine
from db.queue import ledger, recovery
from db.queue.batch import BatchEntry
from db.tables import batches
from tests.chaos.history import Gap, History, note_steps, read_history


@pytest.fixture(params=["postgres_url", "sqlite_url"])
def database(request):
    """A database that notes steps, and has seen one batch fail once and then succeed."""
    url = request.getfixturevalue(request.param)
    note_steps(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        ingest_id = ledger.open_ingest(connection, "a test")
        ledger.add_batch(connection, ingest_id, "library", [BatchEntry("a.wav", "pack", "pack")])
        for token in ("first", "second"):
            ledger.take_pending(connection, window=1, limit=1)
            ledger.claim(connection, 1, token=token, worker="a worker", lease_seconds=60)
            if token == "first":
                recovery.count_attempt(connection, 1, token=token)
        ledger.finish(connection, 1, token="second", classified=1, failed=0)
    yield engine
    engine.dispose()


def test_every_step_is_counted_and_none_complained_of(database):
    history = read_history(database)
    assert history.wrong == []
    assert history.steps == {
        "pending to queued": 2,
        "queued to running": 2,
        "running to pending": 1,
        "running to done": 1,
    }


def test_a_write_to_a_finished_batch_is_found(database):
    # When a worker whose lease has expired writes anyway
    with database.begin() as connection:
        connection.execute(update(batches).values(failed=1))

    # Then it is found, although the batch is as done as before
    assert "batch 1 was done, and written again" in read_history(database).wrong


def test_a_gap_is_from_the_begin_of_work_to_its_end(database):
    history = read_history(database)
    [gap] = history.gaps
    assert gap.seconds == history.longest_open_seconds > 0


def test_the_longest_gap_is_that_of_those_that_a_time_touches():
    history = History(gaps=[Gap(0, 5), Gap(5, 6), Gap(8, 20)])
    assert history.longest_gap(5.5, 7) == 1
    assert history.longest_gap(6, 8) == 0
    assert history.longest_gap(4, 9) == 12
