"""How many batches wait, and the time since the last claim, on both databases."""

import pytest
from sqlalchemy import update

from db.dialects import now
from db.engine import reading
from db.queue import ledger, recovery
from db.queue.batch import BatchEntry
from db.reporting.open_work import OpenWork, open_work
from db.tables import batches


@pytest.fixture
def waits(database):
    """The result in whole minutes, which a slow machine does not change."""

    def look():
        with reading(database) as connection:
            work = open_work(connection)
        return work.waiting, round(work.unclaimed_seconds / 60)

    return look


@pytest.fixture
def date_back(database):
    """Let a moment of a batch lie so many minutes in the past, by the database's clock."""

    def date_back(batch_id, column, minutes):
        with database.begin() as connection:
            moment = {column: now(-60 * minutes)}
            connection.execute(update(batches).where(batches.c.id == batch_id).values(moment))

    return date_back


def test_an_empty_ledger_has_no_waiting_time(take):
    assert take(open_work) == OpenWork()


def test_running_and_done_batches_have_no_waiting_time(add_batches, claim, take, waits, date_back):
    add_batches(1, 1)
    claim(1)
    claim(2)
    take(ledger.finish, 1, token="ours", classified=1, failed=0)
    date_back(1, "started_at", 60)
    date_back(2, "started_at", 60)
    assert waits() == (0, 0)


def test_a_new_batch_has_not_waited_yet(add_batches, waits):
    add_batches(1)
    assert waits() == (1, 0)


def test_without_any_claim_the_oldest_batch_gives_the_waiting_time(add_batches, waits, date_back):
    add_batches(1, 1)
    date_back(1, "created_at", 60)
    date_back(2, "created_at", 30)
    assert waits() == (2, 60)


def test_queued_batches_count_as_waiting(add_batches, take, waits, date_back):
    add_batches(1, 1)
    date_back(1, "created_at", 60)
    take(ledger.take_pending, window=9, limit=1)
    assert waits() == (2, 60)


def test_work_created_after_the_last_claim_waits_since_its_creation(
    add_batches, claim, waits, date_back
):
    # Given a claim of yesterday, and a batch of an hour ago
    add_batches(1, 1)
    claim(1)
    date_back(1, "started_at", 24 * 60)
    date_back(2, "created_at", 60)
    assert waits() == (1, 60)


def test_a_later_claim_shortens_the_waiting_time(add_batches, claim, waits, date_back):
    add_batches(1, 1, 1)
    claim(1)
    claim(2)
    date_back(1, "started_at", 40)
    date_back(2, "started_at", 20)
    date_back(3, "created_at", 60)
    assert waits() == (1, 20)


def test_a_requeued_batch_waits_since_its_claim(add_batches, claim, take, waits, date_back):
    add_batches(1)
    claim(1)
    take(recovery.hand_back, 1, token="ours")
    date_back(1, "created_at", 60)
    date_back(1, "started_at", 20)
    assert waits() == (1, 20)


def test_done_batches_do_not_count_as_waiting(add_batches, claim, take, waits, date_back):
    add_batches(1, 1)
    claim(1)
    take(ledger.finish, 1, token="ours", classified=1, failed=0)
    date_back(1, "created_at", 600)
    date_back(1, "started_at", 500)
    date_back(2, "created_at", 60)
    assert waits() == (1, 60)


def test_a_claim_before_a_clock_set_back_gives_no_negative_time(
    add_batches, claim, take, date_back
):
    add_batches(1, 1)
    claim(1)
    date_back(1, "started_at", -60)
    assert 0 <= take(open_work).unclaimed_seconds < 60


def test_an_unserved_root_counts_as_waiting_while_others_are_served(
    add_batches, claim, database, take, waits, date_back
):
    # Given a root of which nothing was claimed for an hour, and another of which just now
    add_batches(1, 1)
    with database.begin() as connection:
        ledger.add_batch(connection, 1, "packs", [BatchEntry("a.wav", "a pack", "a vendor")])
    claim(1)
    date_back(3, "created_at", 60)
    assert waits() == (2, 60)
    library, packs = take(open_work).roots
    assert (library.root, library.waiting, round(library.unclaimed_seconds / 60)) == (
        "library",
        1,
        0,
    )
    assert (packs.root, packs.waiting, round(packs.unclaimed_seconds / 60)) == ("packs", 1, 60)


def test_batches_that_are_requeued_repeatedly_are_reported_with_the_reason(
    add_batches, claim, take
):
    add_batches(1, 1)
    for reason in ("slow", "not mounted"):
        claim(1)
        take(recovery.hand_back, 1, token="ours", after_seconds=0)
        take(recovery.record_reason, 1, reason)
    (work,) = take(open_work).roots
    assert (work.returned, work.setbacks, work.reason) == (1, 2, "not mounted")
