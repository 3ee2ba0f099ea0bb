"""The ledger's queueing and leases: what is announced when, and what is taken back."""

import time

import pytest
from sqlalchemy import text, update

from db.dialects import now
from db.queue import ledger, recovery, root_names
from db.queue.batch import MALFORMED, BatchEntry, claimed_entries
from db.queue.recovery import AttemptOutcome
from db.states import BatchState
from db.tables import batches


def test_pending_batches_are_taken_oldest_first(add_batches, take):
    add_batches(1, 1, 1)
    taken = take(ledger.take_pending, window=10, limit=2)
    assert [(batch.id, batch.root, batch.paths) for batch in taken] == [
        (1, "library", ("0/0.wav",)),
        (2, "library", ("1/0.wav",)),
    ]


def test_the_window_limits_the_number_of_queued_batches(add_batches, claim, take, states):
    # Given one batch running and one queued
    add_batches(1, 1, 1, 1)
    take(ledger.take_pending, window=10, limit=2)
    take(ledger.claim, 1, token="ours", worker="w", lease_seconds=60)
    # Then a window of three has room for one more, and a full one for none
    assert len(take(ledger.take_pending, window=3, limit=10)) == 1
    assert take(ledger.take_pending, window=3, limit=10) == []
    assert states()[-1] == BatchState.PENDING


def test_an_unserved_root_does_not_block_the_others(add_batches, database, take):
    add_batches(1, 1)
    assert [batch.id for batch in take(ledger.take_pending, window=1, limit=9)] == [1]
    with database.begin() as connection:
        ledger.add_batch(connection, 1, "packs", [BatchEntry("a.wav", "a pack", "a vendor")])
    assert [batch.id for batch in take(ledger.take_pending, window=1, limit=9)] == [3]


@pytest.fixture
def add_interactive(database):
    """Write an interactive batch of this many sounds."""

    def add(sound_count):
        with database.begin() as connection:
            ingest_id = ledger.open_ingest(connection, "a person")
            entries = [BatchEntry(f"now {index}.wav", "p", "v") for index in range(sound_count)]
            ledger.add_batch(connection, ingest_id, "library", entries, interactive=True)

    return add


def test_interactive_batches_go_first_and_past_a_full_window(add_batches, add_interactive, take):
    add_batches(1, 1, 1)
    add_interactive(1)
    taken = take(ledger.take_pending, window=2, limit=2)
    assert [(batch.id, batch.interactive) for batch in taken] == [(4, True), (1, False)]
    add_interactive(1)
    assert [batch.id for batch in take(ledger.take_pending, window=2, limit=2)] == [5]


def test_interactive_batches_are_not_taken_before_they_are_due(add_interactive, take):
    add_interactive(1)
    take(ledger.defer, 1, seconds=60)
    assert take(ledger.take_pending, window=2, limit=2) == []


def test_parts_of_an_interactive_batch_are_interactive(add_interactive, claim, take):
    add_interactive(3)
    claim(1)
    take(recovery.isolate, 1, token="ours", index=1)
    taken = take(ledger.take_pending, window=0, limit=10)
    assert [(len(batch.paths), batch.interactive) for batch in taken] == [(2, True), (1, True)]


def test_a_batch_whose_message_was_not_published_is_pending_again(add_batches, take, states):
    add_batches(1, 1)
    take(ledger.take_pending, window=10, limit=10)
    take(ledger.unqueue, [2])
    assert states() == [BatchState.QUEUED, BatchState.PENDING]


def test_unqueueing_does_not_change_claimed_batches(add_batches, claim, take, states):
    add_batches(1)
    claim(1)
    take(ledger.unqueue, [1])
    assert states() == [BatchState.RUNNING]


def test_only_batches_queued_long_ago_are_announced_again(add_batches, take, database):
    add_batches(1, 1)
    take(ledger.take_pending, window=10, limit=1)
    assert take(ledger.refresh_stale, stale_seconds=60, limit=10) == []
    # The pending one is not announced, however long ago.
    with database.begin() as connection:
        connection.execute(update(batches).values(queued_at=now(-61)))
    stale = take(ledger.refresh_stale, stale_seconds=60, limit=10)
    assert [batch.id for batch in stale] == [1]


def test_running_batches_are_not_announced_again(add_batches, claim, take):
    add_batches(1)
    claim(1)
    assert take(ledger.refresh_stale, stale_seconds=-60, limit=10) == []


def test_without_messages_the_oldest_open_batch_comes_next(add_batches, claim, take, states):
    add_batches(1, 1)
    claim(1)
    assert take(ledger.next_open) == 2
    assert states() == [BatchState.RUNNING, BatchState.QUEUED]


def test_without_messages_queued_batches_count_as_pending(add_batches, take):
    add_batches(1)
    take(ledger.take_pending, window=10, limit=10)
    assert take(ledger.next_open) == 1


def test_there_is_no_next_batch_if_all_are_claimed(add_batches, claim, take):
    add_batches(1)
    claim(1)
    assert take(ledger.next_open) is None


# Malformed batches


@pytest.fixture
def forge(database):
    """Replace a list of a batch, as another program with access to the table could."""

    def forge(batch_id, column, value):
        with database.begin() as connection:
            connection.execute(
                text(f"UPDATE batches SET {column} = :value WHERE id = :id"),  # noqa: S608
                {"value": value, "id": batch_id},
            )

    return forge


@pytest.fixture
def forge_paths(forge):
    """Replace the paths of a batch."""
    return lambda batch_id, paths: forge(batch_id, "paths", paths)


#: Valid JSON that Python refuses to decode.
TOO_DEEP = "[" * 2500 + "]" * 2500
MALFORMED_PATHS = ["null", "5", "[]", "[1]", '"a.wav"', "{}", TOO_DEEP]


@pytest.mark.parametrize("paths", MALFORMED_PATHS)
def test_a_malformed_batch_is_closed_and_the_others_are_announced(
    add_batches, forge_paths, take, batch_rows, caplog, paths
):
    add_batches(1, 2, 1)
    forge_paths(2, paths)
    assert [batch.id for batch in take(ledger.take_pending, window=10, limit=10)] == [1, 3]
    row = batch_rows()[1]
    assert (row["state"], row["classified"], row["failed"]) == (BatchState.DONE, 0, 2)
    assert row["reason"] == MALFORMED
    assert f"batch 2: {MALFORMED}" in caplog.text


@pytest.mark.parametrize("paths", MALFORMED_PATHS)
def test_a_malformed_queued_batch_is_closed_and_the_others_are_announced_again(
    add_batches, forge_paths, take, states, paths
):
    add_batches(1, 1)
    take(ledger.take_pending, window=10, limit=10)
    forge_paths(1, paths)
    again = take(ledger.refresh_stale, stale_seconds=-60, limit=10)
    assert [batch.id for batch in again] == [2]
    assert states() == [BatchState.DONE, BatchState.QUEUED]


@pytest.mark.parametrize("paths", MALFORMED_PATHS)
def test_without_messages_a_malformed_batch_is_closed_and_the_next_one_returned(
    add_batches, forge_paths, take, states, paths
):
    add_batches(1, 1)
    forge_paths(1, paths)
    assert take(ledger.next_open) == 2
    assert states() == [BatchState.DONE, BatchState.QUEUED]


@pytest.mark.parametrize("paths", MALFORMED_PATHS)
def test_the_names_of_a_root_do_not_depend_on_malformed_batches(
    add_batches, claim, forge_paths, take, paths
):
    add_batches(1, 1)
    claim(1)
    take(
        ledger.finish, 1, token="ours", classified=1, failed=0, entries=[BatchEntry("a/b", "", "")]
    )
    forge_paths(2, paths)
    assert take(root_names.known_names, "library") == ["a"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("paths", ["", "no JSON", '["a.wav"', b"\xff\xfe"])
def test_paths_that_are_no_json_count_as_malformed(add_batches, forge_paths, take, states, paths):
    add_batches(1, 1)
    forge_paths(1, paths)
    assert [batch.id for batch in take(ledger.take_pending, window=10, limit=10)] == [2]
    assert states() == [BatchState.DONE, BatchState.QUEUED]


MALFORMED_NAMES = ["null", "5", "[]", '["a"]', '["a", "b", "c"]', '["a", null]', '"ab"', TOO_DEEP]


@pytest.mark.parametrize("column", ["packs", "vendors"])
@pytest.mark.parametrize("names", MALFORMED_NAMES)
def test_a_batch_with_malformed_packs_or_vendors_is_closed(
    add_batches, forge, take, batch_rows, caplog, column, names
):
    add_batches(1, 2, 1)
    forge(2, column, names)
    assert [batch.id for batch in take(ledger.take_pending, window=10, limit=10)] == [1, 3]
    row = batch_rows()[1]
    assert (row["state"], row["failed"], row["reason"]) == (BatchState.DONE, 2, MALFORMED)
    assert f"batch 2: {MALFORMED}" in caplog.text


@pytest.mark.parametrize("column", ["paths", "packs", "vendors"])
@pytest.mark.parametrize("names", MALFORMED_NAMES)
def test_a_batch_that_becomes_malformed_after_its_claim_is_closed_in_the_end(
    add_batches, claim, forge, take, states, column, names
):
    add_batches(2)
    claim(1)
    forge(1, column, names)
    assert take(claimed_entries, 1, token="ours") == []
    assert take(recovery.isolate, 1, token="ours", index=0) is AttemptOutcome.RETURNED
    assert take(ledger.take_pending, window=10, limit=10) == []
    assert states() == [BatchState.DONE]


@pytest.mark.parametrize("column", ["paths", "packs", "vendors"])
@pytest.mark.parametrize("names", MALFORMED_NAMES)
def test_a_malformed_batch_is_split_without_an_error(
    add_batches, claim, database, forge, take, states, column, names
):
    add_batches(2)
    claim(1)
    forge(1, column, names)
    with database.begin() as connection:
        connection.execute(update(batches).values(attempts=recovery.SPLIT_AFTER_ATTEMPTS))
    assert take(recovery.count_attempt, 1, token="ours") is AttemptOutcome.SPLIT


# Leases


def test_only_expired_leases_are_reaped(add_batches, claim, take):
    add_batches(1, 1)
    claim(1, lease_seconds=-1)
    claim(2, lease_seconds=60)
    assert take(recovery.next_expired).id == 1
    take(recovery.count_attempt, 1, token="ours")
    assert take(recovery.next_expired) is None


def test_expired_leases_are_reaped_one_at_a_time_oldest_first(add_batches, claim, take):
    add_batches(1, 1, 1)
    for batch_id in (3, 1, 2):
        claim(batch_id, lease_seconds=-1)
    reaped = []
    for _ in range(3):
        reaped.append(take(recovery.next_expired).id)
        take(recovery.count_attempt, reaped[-1], token="ours")
    assert reaped == [1, 2, 3]


def test_a_done_batch_never_expires(add_batches, claim, take):
    add_batches(1)
    claim(1, lease_seconds=-1)
    take(ledger.finish, 1, token="ours", classified=1, failed=0)
    assert take(recovery.next_expired) is None


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_wrong_clock_on_the_workers_host_changes_no_lease(
    add_batches, claim, take, monkeypatch, hours
):
    # Given a host whose clock is off
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + hours * 3600)
    # Then leases use the database's clock anyway
    add_batches(1, 1)
    claim(1, lease_seconds=-1)
    claim(2, lease_seconds=60)
    assert take(recovery.next_expired).id == 1
    take(recovery.count_attempt, 1, token="ours")
    assert take(recovery.next_expired) is None


def test_the_batches_of_one_worker_can_be_found(add_batches, claim, take):
    add_batches(1, 1)
    claim(1, worker="host:1:a")
    claim(2, worker="host:2:b")
    assert [batch.id for batch in take(recovery.claimed_by_worker, "host:2:b")] == [2]


def test_an_ingest_has_open_batches_until_the_last_is_done(add_batches, claim, take):
    ingest_id = add_batches(1, 1)
    for batch_id in (1, 2):
        assert take(ledger.has_open_batches, ingest_id)
        claim(batch_id)
        take(ledger.finish, batch_id, token="ours", classified=1, failed=0)
    assert not take(ledger.has_open_batches, ingest_id)


def test_a_requeued_batch_is_announced_like_a_pending_one(add_batches, claim, take):
    # Given a batch that was claimed and requeued, and one that was never claimed
    add_batches(2, 2)
    claim(1)
    take(recovery.count_attempt, 1, token="ours")
    take(ledger.unqueue, [2])
    # Then the two are distinguished, also when their messages seem to be lost
    assert [batch.again for batch in take(ledger.take_pending, window=9, limit=9)] == [True, False]
    stale = take(ledger.refresh_stale, stale_seconds=-60, limit=9)
    assert [batch.again for batch in stale] == [True, False]


def test_a_suspect_may_be_queued_after_the_others(add_batches, claim, take):
    add_batches(3)
    claim(1)
    take(recovery.isolate, 1, token="ours", index=1)
    claim(2)
    take(recovery.count_attempt, 2, token="ours")
    take(ledger.unqueue, [1])
    rest, suspect = take(ledger.take_pending, window=9, limit=9)
    assert (rest.again, suspect.again) == (True, False)


def test_a_suspect_is_a_single_sound_with_an_attempt(add_batches, claim, take):
    add_batches(1, 2)
    assert take(recovery.suspect, 1) is None
    for batch_id in (1, 2):
        claim(batch_id)
        take(recovery.count_attempt, batch_id, token="ours")
    assert take(recovery.suspect, 1).paths == ("0/0.wav",)
    assert take(recovery.suspect, 2) is None
