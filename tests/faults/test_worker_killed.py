"""kill -9 of a whole worker and its supervisor: another takes over, or itself started again."""

import os
import signal

from tests.support.fleet import SUPERVISOR_ALONE, on_both_databases
from tests.support.servers.lifecycle import wait_until


def kill_all_of(worker):
    os.killpg(worker.pid, signal.SIGKILL)


@on_both_databases
def test_another_worker_takes_over_when_the_lease_ends(fleet, tmp_path):
    """Without the lease, the batch stays with a worker that is gone."""
    fleet.add("gate.wav", count=11)
    fleet.shut_gate()
    fleet.submit()
    # A data folder each: these two stand for two hosts, which do not see each other's notes.
    ours = {"CRATESORT_DATA_FOLDER": str(tmp_path / "this host")}
    theirs = {"CRATESORT_DATA_FOLDER": str(tmp_path / "that host")}
    with fleet.worker(settings=ours) as worker:
        # Given a batch in the hands of a worker that dies with all its processes
        fleet.wait_for_the_gate()
        kill_all_of(worker)
        fleet.open_gate()

        # When another worker sweeps, without any beat, then the lease keeps the batch from it
        with fleet.worker(settings=theirs | {"CRATESORT_LOG_LEVEL": "DEBUG"}) as other:
            wait_until(lambda: "swept" in other.log(), "it has swept", 60)
            assert [row["state"] for row in fleet.batches()].count("running") == 1

            # Until it has ended
            fleet.end_leases()
            fleet.wait_until_done()
    fleet.assert_nothing_is_lost()


def test_a_worker_restarted_on_the_same_host_does_not_wait_for_the_lease(fleet):
    """Without the notes, the batch waits for twenty minutes."""
    fleet.add("gate.wav", count=11)
    fleet.shut_gate()
    fleet.submit()
    with fleet.worker(settings=SUPERVISOR_ALONE) as worker:
        fleet.wait_for_the_gate()
        kill_all_of(worker)
        fleet.open_gate()
        with fleet.worker(settings=SUPERVISOR_ALONE):
            fleet.wait_until_done()
    fleet.assert_nothing_is_lost()
