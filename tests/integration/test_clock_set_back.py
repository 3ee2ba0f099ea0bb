"""The database's clock is set back: times that were written before are not waited for.

Two hours, as after a virtual machine that resumes with a wrong clock. Small steps change nothing.
"""

import pytest
from sqlalchemy import select, update

from db.dialects import now
from db.queue import ledger, recovery
from db.registry import training_runs
from db.registry.training_runs import HEARTBEAT_STOPPED, NotOpened, OpenRun
from db.reporting import throughput
from db.reporting.counts import ledger_counts
from db.reporting.open_work import open_work
from db.states import RunTrigger
from db.tables import batches
from db.tables import training_runs as training_runs_table

HOURS_SECONDS = 7200
#: A step that any clock may make.
SECOND = 1


@pytest.fixture
def ahead(database):
    """Let times of a row lie so many seconds ahead, by the database's clock."""

    def set_ahead(seconds, *columns, row_id=1):
        table = columns[0].table
        with database.begin() as connection:
            moments = {column: now(seconds) for column in columns}
            connection.execute(update(table).where(table.c.id == row_id).values(moments))

    return set_ahead


def unclaimed_seconds(take):
    return take(open_work).unclaimed_seconds


@pytest.mark.parametrize(("seconds", "announced"), [(HOURS_SECONDS, [1]), (SECOND, [])])
def test_a_batch_announced_in_the_future_is_announced_again(
    add_batches, take, ahead, seconds, announced
):
    add_batches(1)
    take(ledger.take_pending, window=9, limit=9)
    ahead(seconds, batches.c.queued_at)
    again = take(ledger.refresh_stale, stale_seconds=60, limit=9)
    assert [batch.id for batch in again] == announced
    # And not more than once
    assert take(ledger.refresh_stale, stale_seconds=60, limit=9) == []


@pytest.mark.parametrize(("seconds", "taken"), [(HOURS_SECONDS, [1]), (60, [])])
def test_an_impossibly_long_back_off_is_ignored(add_batches, take, ahead, seconds, taken):
    add_batches(1)
    ahead(seconds, batches.c.due_at)
    assert [batch.id for batch in take(ledger.take_pending, window=9, limit=9)] == taken


def test_a_lease_in_the_future_ends_one_lease_from_now(add_batches, claim, take, ahead):
    """Its worker may live: it keeps the batch, and no attempt is counted."""
    add_batches(1, 1)
    claim(1, lease_seconds=HOURS_SECONDS + 60)
    ahead(HOURS_SECONDS, batches.c.started_at)
    claim(2, lease_seconds=600)
    take(recovery.shorten_leases, seconds=60)
    ends = select(batches.c.lease_expires_at < now(61)).order_by(batches.c.id)
    assert [bool(soon) for soon in take(lambda connection: connection.scalars(ends).all())] == [
        True,
        False,
    ]
    assert take(recovery.next_expired) is None
    assert take(ledger.finish, 1, token="ours", classified=1, failed=0)


@pytest.fixture
def open_run(take):
    """Begin a training run by hand."""

    def open_run():
        return take(
            training_runs.open_run,
            slot=None,
            trigger=RunTrigger.HAND,
            lease_seconds=60,
            holder="host:1",
            seed=0,
            libraries={},
        )

    return open_run


def test_a_training_run_in_the_future_does_not_block_the_next_one(open_run, take, ahead):
    first = open_run()
    ahead(SECOND + 60, training_runs_table.c.lease_expires_at, row_id=first.id)
    assert open_run() is NotOpened.RUNNING
    ahead(HOURS_SECONDS, training_runs_table.c.lease_expires_at, row_id=first.id)
    assert isinstance(open_run(), OpenRun)
    assert take(training_runs.get, first.id).reason == HEARTBEAT_STOPPED


def test_work_created_in_the_future_counts_as_waiting(add_batches, take, ahead):
    """With zero, nothing would tell of it for two hours."""
    add_batches(1)
    ahead(HOURS_SECONDS, batches.c.created_at)
    assert HOURS_SECONDS - 60 < unclaimed_seconds(take) < HOURS_SECONDS + 60
    assert take(ledger_counts).oldest_seconds > HOURS_SECONDS - 60


def test_a_later_claim_shows_that_work_is_done(add_batches, claim, take, ahead):
    add_batches(1, 1)
    claim(1)
    ahead(HOURS_SECONDS, batches.c.created_at, row_id=2)
    assert unclaimed_seconds(take) < 60


def test_a_claim_in_the_future_shows_nothing(add_batches, claim, take, ahead):
    add_batches(1, 1)
    claim(1)
    ahead(HOURS_SECONDS, batches.c.started_at)
    ahead(-600, batches.c.created_at, row_id=2)
    assert 540 < unclaimed_seconds(take) < 660


def test_a_clock_step_of_a_second_is_healthy(add_batches, claim, take, ahead):
    add_batches(1, 1)
    claim(1)
    ahead(-HOURS_SECONDS, batches.c.started_at)
    ahead(SECOND, batches.c.created_at, row_id=2)
    assert unclaimed_seconds(take) < 60


def test_the_speed_is_that_of_the_last_minute_only(add_batches, claim, take, ahead):
    add_batches(1, 1)
    for batch_id in (1, 2):
        claim(batch_id)
        take(ledger.finish, batch_id, token="ours", classified=1, failed=0)
    ahead(HOURS_SECONDS, batches.c.finished_at)
    assert take(throughput.files_per_second) == round(1 / 60, 2)
