"""The ledger: who may take a batch, and how it comes back, on both databases."""

import pytest
from sqlalchemy.exc import DBAPIError

from db.engine import SQLITE_BUSY_SECONDS, reading
from db.errors import is_read_only, is_unreachable
from db.queue import ledger, recovery, root_names
from db.queue.recovery import AttemptOutcome
from db.states import BatchState

# Claiming and finishing


def test_a_new_batch_is_pending_and_cannot_be_claimed(add_batches, take):
    add_batches(1)
    claimed = take(ledger.claim, 1, token="ours", worker="w", lease_seconds=60)
    assert claimed is None


def test_a_claim_returns_the_submitted_sounds(add_batches, claim):
    ingest_id = add_batches(2)
    claimed = claim(1)
    assert (claimed.id, claimed.ingest_id, claimed.root) == (1, ingest_id, "library")
    assert [entry.path for entry in claimed.entries] == ["0/0.wav", "0/1.wav"]
    assert (claimed.entries[0].pack, claimed.entries[0].vendor) == ("pack 0", "a vendor")


def test_a_batch_is_claimed_once(add_batches, claim):
    add_batches(1)
    assert claim(1) is not None
    assert claim(1, token="theirs") is None


def test_a_batch_that_is_done_cannot_be_claimed(add_batches, claim, take):
    add_batches(1)
    claim(1)
    take(ledger.finish, 1, token="ours", classified=1, failed=0)
    assert claim(1) is None


def test_an_unknown_batch_cannot_be_claimed(claim):
    assert claim(12345) is None


def test_a_batch_is_finished_with_its_claim_token(add_batches, claim, take, batch_rows):
    add_batches(3)
    claim(1)
    assert take(ledger.finish, 1, token="ours", classified=2, failed=1)
    (row,) = batch_rows()
    assert (row["state"], row["classified"], row["failed"]) == (BatchState.DONE, 2, 1)


def test_a_done_batch_keeps_its_count_and_its_first_path(add_batches, claim, take, batch_rows):
    add_batches(3)
    entries = claim(1).entries
    assert take(ledger.finish, 1, token="ours", classified=3, failed=0, entries=entries)
    (row,) = batch_rows()
    assert row["sound_count"] == 3
    assert (row["paths"], row["packs"], row["vendors"]) == (["0/0.wav"], ["pack 0"], ["a vendor"])


def test_the_known_names_of_a_root_come_from_classified_sounds(add_batches, claim, take):
    add_batches(1, 1)
    for batch_id, classified in (1, 1), (2, 0):
        entries = claim(batch_id).entries
        counts = {"classified": classified, "failed": 1 - classified}
        take(ledger.finish, batch_id, token="ours", entries=entries, **counts)
    assert take(root_names.known_names, "library") == ["0"]
    assert take(root_names.known_names, "another") == []


def test_the_known_names_of_a_root_include_submitted_sounds(add_batches, claim, take):
    # Given a library of one folder, which was renamed and handed in again
    add_batches(1)
    take(ledger.finish, 1, token="ours", entries=claim(1).entries, classified=1, failed=0)
    add_batches(1, 2, 3)
    assert sorted(take(root_names.known_names, "library")) == ["0", "1", "2"]


def test_another_worker_cannot_finish_it(add_batches, claim, take, states):
    add_batches(1)
    claim(1)
    assert not take(ledger.finish, 1, token="forged", classified=1, failed=0)
    assert states() == [BatchState.RUNNING]


@pytest.mark.parametrize(
    "what",
    [
        lambda connection: ledger.finish(connection, 1, token="ours", classified=1, failed=0),
        lambda connection: recovery.hand_back(connection, 1, token="ours"),
        lambda connection: recovery.count_attempt(connection, 1, token="ours"),
        lambda connection: recovery.isolate(connection, 1, token="ours", index=0),
    ],
    ids=["finish", "hand_back", "count_attempt", "isolate"],
)
def test_a_worker_without_the_lease_cannot_change_the_batch(
    add_batches, claim, take, batch_rows, what
):
    # Given a worker whose batch was taken from it and claimed by another
    add_batches(2)
    claim(1)
    take(recovery.hand_back, 1, token="ours")
    claim(1, token="theirs")
    before = batch_rows()
    # When it wakes up, nothing of it has an effect
    assert not take(what)
    assert batch_rows() == before


# Coming back


def test_a_batch_handed_back_is_pending_with_no_attempt_counted(
    add_batches, claim, take, batch_rows
):
    add_batches(1)
    claim(1)
    assert take(recovery.hand_back, 1, token="ours")
    (row,) = batch_rows()
    assert (row["state"], row["attempts"], row["token"]) == (BatchState.PENDING, 0, None)


def test_the_first_attempt_requeues_a_batch_whole(add_batches, claim, take, batch_rows):
    add_batches(4)
    claim(1)
    assert take(recovery.count_attempt, 1, token="ours") is AttemptOutcome.RETURNED
    (row,) = batch_rows()
    assert (row["state"], row["attempts"], row["sound_count"]) == (BatchState.PENDING, 1, 4)


def test_the_second_attempt_requeues_a_batch_in_halves_without_attempts(
    add_batches, claim, take, batch_rows
):
    add_batches(5)
    for verdict in (AttemptOutcome.RETURNED, AttemptOutcome.SPLIT):
        claim(1)
        assert take(recovery.count_attempt, 1, token="ours") is verdict
    halves = batch_rows()
    assert [row["paths"] for row in halves] == [
        ["0/0.wav", "0/1.wav"],
        ["0/2.wav", "0/3.wav", "0/4.wav"],
    ]
    assert [(row["state"], row["attempts"]) for row in halves] == [(BatchState.PENDING, 0)] * 2
    assert [len(row["packs"]) == len(row["vendors"]) == row["sound_count"] for row in halves] == [
        True,
        True,
    ]


def test_a_single_sound_is_given_up_after_three_failed_attempts(add_batches, claim, take, states):
    add_batches(1)
    verdicts = []
    for _ in range(3):
        claim(1)
        verdicts.append(take(recovery.count_attempt, 1, token="ours"))
    assert verdicts == [AttemptOutcome.RETURNED, AttemptOutcome.RETURNED, AttemptOutcome.GIVE_UP]
    assert states() == [BatchState.RUNNING]  # still held, for its typed row


def test_one_bad_sound_among_many_is_found_and_the_others_finish(
    add_batches, claim, take, batch_rows
):
    # Given a batch in which one sound ends every worker
    add_batches(7)
    bad, hopeless, done = "0/4.wav", [], []
    # When it is worked on until nothing is open
    for _ in range(100):
        open_ids = [row["id"] for row in batch_rows() if row["state"] != BatchState.DONE]
        if not open_ids:
            break
        claimed = claim(open_ids[0])
        paths = [entry.path for entry in claimed.entries]
        if (
            bad in paths
            and take(recovery.count_attempt, claimed.id, token="ours") is not AttemptOutcome.GIVE_UP
        ):
            continue
        hopeless += paths if bad in paths else []
        take(ledger.finish, claimed.id, token="ours", classified=len(paths), failed=0)
        done += paths
    # Then it alone was given up, and no sound was lost or doubled
    assert hopeless == [bad]
    assert sorted(done) == [f"0/{index}.wav" for index in range(7)]


def test_a_suspect_is_isolated_and_the_rest_requeued(add_batches, claim, take, batch_rows):
    add_batches(3)
    claim(1)
    assert take(recovery.isolate, 1, token="ours", index=1) is AttemptOutcome.ISOLATED
    rest, suspect = batch_rows()
    assert (rest["paths"], rest["suspect"]) == (["0/0.wav", "0/2.wav"], False)
    assert (suspect["paths"], suspect["suspect"]) == (["0/1.wav"], True)
    assert (rest["state"], suspect["state"]) == (BatchState.PENDING, BatchState.PENDING)


def test_isolation_resets_the_attempts_of_both_parts(add_batches, claim, take, batch_rows):
    # Given a batch with one attempt
    add_batches(3)
    claim(1)
    take(recovery.count_attempt, 1, token="ours")
    # When its next worker is known to have died at the second sound
    claim(1)
    take(recovery.isolate, 1, token="ours", index=1)
    # Then that counts against neither part
    assert [row["attempts"] for row in batch_rows()] == [0, 0]


def test_the_other_sound_of_a_pair_is_not_a_suspect(add_batches, claim, take, batch_rows):
    add_batches(2)
    claim(1)
    take(recovery.isolate, 1, token="ours", index=0)
    assert [(row["paths"], row["suspect"]) for row in batch_rows()] == [
        (["0/1.wav"], False),
        (["0/0.wav"], True),
    ]


def test_a_suspect_is_given_up_after_three_failed_attempts_alone(
    add_batches, claim, take, batch_rows
):
    # Given a sound that was singled out
    add_batches(3)
    claim(1)
    take(recovery.isolate, 1, token="ours", index=1)
    # When it is known to end each of its readers
    verdicts = []
    for _ in range(3):
        claim(2)
        verdicts.append(take(recovery.isolate, 2, token="ours", index=0))
    # Then what happened in company does not count
    assert verdicts == [AttemptOutcome.RETURNED, AttemptOutcome.RETURNED, AttemptOutcome.GIVE_UP]
    assert batch_rows()[1]["state"] == BatchState.RUNNING  # still held, for its typed row


@pytest.mark.parametrize("index", [-1, 3, 10**9])
def test_an_index_outside_of_the_batch_counts_an_attempt_of_all(
    add_batches, claim, take, batch_rows, index
):
    add_batches(3)
    claim(1)
    assert take(recovery.isolate, 1, token="ours", index=index) is AttemptOutcome.RETURNED
    (row,) = batch_rows()
    assert (row["state"], row["attempts"], row["sound_count"]) == (BatchState.PENDING, 1, 3)
    claim(1)
    assert take(recovery.isolate, 1, token="ours", index=index) is AttemptOutcome.SPLIT


def test_halves_of_one_sound_are_suspects_and_larger_ones_are_not(
    add_batches, claim, take, batch_rows
):
    add_batches(3)
    for _ in range(2):
        claim(1)
        take(recovery.count_attempt, 1, token="ours")
    assert [(row["sound_count"], row["suspect"]) for row in batch_rows()] == [(1, True), (2, False)]


def test_a_single_sound_is_a_suspect_after_an_attempt(add_batches, claim, take, batch_rows):
    add_batches(1)
    assert [row["suspect"] for row in batch_rows()] == [False]
    claim(1)
    take(recovery.count_attempt, 1, token="ours")
    assert [row["suspect"] for row in batch_rows()] == [True]


def test_a_requeued_suspect_stays_a_suspect(add_batches, claim, take, batch_rows):
    add_batches(1)
    claim(1)
    take(recovery.count_attempt, 1, token="ours")
    claim(1)
    take(recovery.hand_back, 1, token="ours")
    assert [(row["suspect"], row["attempts"]) for row in batch_rows()] == [(True, 1)]


# Whether it may be written


def test_the_check_for_a_writable_database_changes_nothing(database, add_batches, batch_rows):
    add_batches(1)
    before = batch_rows()
    with reading(database) as connection:
        ledger.require_writable(connection)
    assert batch_rows() == before


def test_a_read_only_database_is_detected(database):
    read_only = {"postgresql": "SET TRANSACTION READ ONLY", "sqlite": "PRAGMA query_only = 1"}
    with database.connect() as connection:
        connection.exec_driver_sql(read_only[database.dialect.name])
        with pytest.raises(DBAPIError) as refused:
            ledger.require_writable(connection)
    assert (is_read_only(refused.value), is_unreachable(refused.value)) == (True, True)


def test_a_locked_database_counts_as_writable_at_once(database):
    with database.begin() as writer:
        ledger.open_ingest(writer, "a test")
        with reading(database) as connection:
            ledger.require_writable(connection)
        # And who really writes waits as before
        if database.dialect.name == "sqlite":
            with reading(database) as connection:
                waits = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
            assert waits == SQLITE_BUSY_SECONDS * 1000
