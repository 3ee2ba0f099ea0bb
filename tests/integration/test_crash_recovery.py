"""Requeuing batches of dead processes, and batches that live ones could not hand back."""

import pytest
from pydantic import SecretStr

from db.queue import ledger
from db.states import BatchState
from workers.recovery.crash_marker import CrashMarker, markers_in
from workers.recovery.crash_recovery import recover_batches
from workers.settings import Settings

PENDING, QUEUED, RUNNING, DONE = BatchState
DEAD = "a-host:12:abc"


@pytest.fixture
def settings(database_url, tmp_path):
    """The settings of a host."""
    return Settings(database_url=SecretStr(database_url), data_folder=tmp_path / "data")


@pytest.fixture
def recover(database, settings):
    """Return what lies in the host's folder; how many markers were handled."""
    return lambda **options: recover_batches(database, settings, **options)


@pytest.fixture
def folder(settings):
    """Where this host's processes leave their markers."""
    return settings.running_folder


@pytest.fixture
def dies(folder):
    """Leave the crash marker of a dead process; its batch's deadline is `seconds` from now."""

    def leave(batch_id, *, index=None, worker=DEAD, seconds=60):
        marker = CrashMarker(folder, worker)
        marker.begin(batch_id, time_limit_seconds=seconds)
        if index is not None:
            marker.begin_reading(batch_id, index)
        marker.close()

    return leave


@pytest.fixture
def parts(batch_rows):
    """The batches as paths, state, attempts and whether they are suspects."""
    return lambda: [
        (row["paths"], row["state"], row["attempts"], row["suspect"]) for row in batch_rows()
    ]


# Crash markers


def test_the_file_a_dead_process_was_reading_is_isolated(
    add_batches, claim, dies, recover, folder, parts
):
    # Given a process that died at the second of three sounds
    add_batches(3)
    claim(1, worker=DEAD)
    dies(1, index=1)
    # When another process recovers its batch
    assert recover() == 1
    # Then the others are requeued without it, no attempt is counted, and the marker is deleted
    assert parts() == [
        (["0/0.wav", "0/2.wav"], PENDING, 0, False),
        (["0/1.wav"], PENDING, 0, True),
    ]
    assert markers_in(folder) == []


def test_a_process_that_died_at_no_file_counts_an_attempt_of_its_batch(
    add_batches, claim, dies, recover, parts
):
    add_batches(2)
    claim(1, worker=DEAD)
    dies(1)
    recover()
    assert parts() == [(["0/0.wav", "0/1.wav"], PENDING, 1, False)]


def test_a_process_stopped_on_purpose_suspects_no_file(add_batches, claim, dies, recover, parts):
    add_batches(2)
    claim(1, worker=DEAD)
    dies(1, index=1)
    assert recover(stopped=True) == 1
    assert parts() == [(["0/0.wav", "0/1.wav"], PENDING, 0, False)]


@pytest.mark.parametrize(
    ("seconds", "code"),
    # 0.2: who counts the limit elsewhere began a little earlier.
    [(60, "crashed_reader"), (0.2, "timed_out"), (-1, "timed_out")],
)
def test_a_sound_that_crashed_three_readers_alone_gets_an_error_row(
    add_batches, claim, dies, recover, read_rows, database_url, states, seconds, code
):
    add_batches(1)
    for number in range(3):
        assert read_rows(database_url) == []
        claim(1, worker=f"a-host:12:{number}")
        dies(1, index=0, worker=f"a-host:12:{number}", seconds=seconds)
        recover()
    (row,) = read_rows(database_url)
    assert (row.path, row.error_code) == ("0/0.wav", code)
    assert states() == [DONE]


def test_a_batch_whose_process_died_between_claim_and_marker_is_requeued(
    add_batches, claim, dies, recover, parts
):
    # Given a process whose marker still has its previous batch
    add_batches(2, 2)
    claim(2, worker=DEAD)
    dies(1, index=1)
    # Then the batch it holds by the ledger goes back, and nothing is thought of its sounds
    recover()
    assert parts()[1] == (["1/0.wav", "1/1.wav"], PENDING, 1, False)


def test_batches_of_other_processes_are_left_alone(
    add_batches, claim, dies, recover, folder, states
):
    # Given three batches of three processes; only one of them is known to be dead
    add_batches(2, 2, 2)
    for batch_id, worker in ((1, "a-host:1:a"), (2, DEAD), (3, "another-host:3:c")):
        claim(batch_id, worker=worker)
    living = CrashMarker(folder, "a-host:1:a")
    living.begin(1)
    dies(2)
    # Then only its batch goes back
    assert recover() == 1
    assert states() == [RUNNING, PENDING, RUNNING]
    living.close()


def test_a_second_recovery_changes_nothing(add_batches, claim, dies, recover, batch_rows):
    # Given a marker of a batch that was already requeued when its lease expired
    add_batches(3)
    dies(1, index=1)
    before = batch_rows()
    assert recover() == 1
    assert batch_rows() == before


# Batches to be handed back later


@pytest.fixture
def leaves(folder):
    """Have a process that goes on leave a batch to be handed back later; return its marker."""
    left = []

    def leave(batch_id, worker=DEAD, *, then_dies=False):
        marker = CrashMarker(folder, worker)
        marker.begin(batch_id, time_limit_seconds=60)
        marker.begin_reading(batch_id, 0)
        marker.hand_back_later()
        if then_dies:
            marker.close()
        else:
            left.append(marker)
        return marker

    yield leave
    for marker in left:
        marker.clear()
        marker.close()


def test_a_batch_that_could_not_be_requeued_is_requeued_later(
    add_batches, claim, recover, leaves, parts
):
    add_batches(2)
    claim(1, worker=DEAD)
    leaves(1)
    assert recover() == 1
    assert parts() == [(["0/0.wav", "0/1.wav"], PENDING, 0, False)]
    assert recover() == 0


def test_a_batch_requeued_later_has_no_delay(add_batches, claim, recover, leaves, batch_rows):
    add_batches(2)
    claim(1, worker=DEAD)
    leaves(1)
    recover()
    (row,) = batch_rows()
    assert (row["setbacks"], row["due_at"]) == (0, None)


def test_a_batch_claimed_since_by_the_same_process_is_left_to_it(
    add_batches, claim, recover, leaves, states
):
    add_batches(2, 2)
    claim(1, worker=DEAD)
    marker = leaves(1)
    claim(2, worker=marker.worker)
    marker.begin(2)
    assert recover() == 1
    assert states() == [PENDING, RUNNING]


def test_the_supervisor_of_another_worker_requeues_it(add_batches, claim, recover, leaves):
    add_batches(2)
    claim(1, worker=DEAD)
    leaves(1)
    assert recover(of_parent=1) == 1


def test_a_batch_to_hand_back_that_another_process_claimed_is_left_to_it(
    add_batches, claim, recover, leaves, batch_rows
):
    add_batches(2)
    claim(1, token="theirs", worker="another-host:1:a")
    before = batch_rows()
    leaves(1)
    recover()
    assert batch_rows() == before


def test_a_batch_to_requeue_later_that_is_done_stays_done(
    add_batches, claim, take, recover, leaves, batch_rows
):
    add_batches(2)
    claim(1, worker=DEAD)
    take(ledger.finish, 1, token="ours", classified=2, failed=0)
    before = batch_rows()
    leaves(1)
    recover()
    assert batch_rows() == before


def test_a_batch_to_requeue_later_is_requeued_after_its_process_died(
    add_batches, claim, recover, leaves, parts
):
    add_batches(2)
    claim(1, worker=DEAD)
    leaves(1, then_dies=True)
    assert recover() == 1
    assert parts() == [(["0/0.wav", "0/1.wav"], PENDING, 0, False)]


# The database away


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_markers_are_kept_until_the_database_answers(
    add_batches, claim, dies, recover, leaves, parts, postgres_server
):
    # Given a dead process and a batch for later while the database is away
    add_batches(2, 2)
    claim(1, worker=DEAD)
    claim(2, worker="a-host:2:b")
    dies(1, index=0)
    postgres_server.kill()
    try:
        with pytest.raises(Exception, match="connection"):
            recover()
        leaves(2, worker="a-host:2:b")
        with pytest.raises(Exception, match="connection"):
            recover()
    finally:
        postgres_server.start()
    # When it is back, then both are seen to
    assert recover() == 2
    assert parts() == [
        (["0/1.wav"], PENDING, 0, False),
        (["1/0.wav", "1/1.wav"], PENDING, 0, False),
        (["0/0.wav"], PENDING, 0, True),
    ]


# No attempt counted


def test_a_timeout_while_no_file_was_read_counts_no_attempt(
    add_batches, claim, dies, recover, batch_rows
):
    # Given a process that was killed for time while it waited for the database
    add_batches(1)
    claim(1, worker=DEAD)
    dies(1, seconds=-1)
    # When it is found
    recover()
    # Then its batch waits a while, without an attempt
    (row,) = batch_rows()
    assert (row["state"], row["attempts"], row["setbacks"]) == (PENDING, 0, 1)
    assert row["due_at"] is not None
