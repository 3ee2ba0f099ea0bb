"""A worker whose clock is two hours ahead: leases are by the database's clock alone."""

from tests.support.fleet import on_both_databases
from tests.support.servers.lifecycle import wait_until

TALKATIVE = {"CRATESORT_LOG_LEVEL": "DEBUG"}
AHEAD = {"TEST_CLOCK_AHEAD_SECONDS": "7200"}


@on_both_databases
def test_a_worker_with_a_clock_ahead_takes_no_batches_of_others(fleet, tmp_path):
    """Without the database's clock, this worker would take a batch in progress."""
    fleet.add("gate.wav", count=11)
    fleet.shut_gate()
    fleet.submit()
    ours = {"CRATESORT_DATA_FOLDER": str(tmp_path / "this host")}
    theirs = {"CRATESORT_DATA_FOLDER": str(tmp_path / "that host")}
    with fleet.worker(settings=ours) as worker:
        # Given a batch in the hands of a worker with a right clock
        child = fleet.wait_for_the_gate()

        # When one from the future sweeps several times
        with fleet.worker(settings=theirs | AHEAD | TALKATIVE) as other:
            wait_until(lambda: other.log().count("swept") >= 3, "it has swept three times", 60)

            # Then the batch is still where it was
            assert fleet.working_pid() == child
            fleet.open_gate()
            fleet.wait_until_done()
        assert child in worker.processes()
    fleet.assert_nothing_is_lost()
    assert fleet.attempts() == 0


def test_a_single_worker_with_a_clock_ahead_does_all_the_work(fleet):
    """Without the database's clock, its times would be two hours ahead of those of others."""
    fleet.add(count=12)
    fleet.submit()
    with fleet.worker(settings=AHEAD):
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost()
