"""kill -9 of only the parent: its children end too, and what they had is done or returned."""

import os
import signal

from tests.support.fleet import SUPERVISOR_ALONE
from tests.support.servers.lifecycle import wait_until


def test_a_killed_worker_leaves_no_process_and_no_wait_for_its_lease(fleet):
    """Without the supervisor, the batch stays running, held by a process that is gone."""
    fleet.add("gate.wav", count=11)
    fleet.shut_gate()
    fleet.submit()
    with fleet.worker(settings=SUPERVISOR_ALONE) as worker:
        fleet.wait_for_the_gate()

        # When the parent dies, and its child may continue
        os.kill(worker.pid, signal.SIGKILL)
        fleet.open_gate()

        # Then all processes of the worker end by themselves, whether the child finishes its batch
        # or finds its parent gone first and hands it back
        wait_until(lambda: not worker.processes(), "its children and its supervisor have ended", 60)
    assert "running" not in [row["state"] for row in fleet.batches()]

    # And the next worker does what is left
    with fleet.worker():
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost()


def test_a_child_that_never_ends_is_killed_by_the_supervisor(fleet):
    """Without the supervisor, the stuck child would run forever."""
    fleet.add("stuck.wav", count=3)
    fleet.submit()
    limited = {**SUPERVISOR_ALONE, "CRATESORT_TIME_LIMIT_SECONDS": "4"}
    with fleet.worker(settings=limited) as worker:
        wait_until(lambda: fleet.working_pid() is not None, "it has claimed the batch", 60)
        os.kill(worker.pid, signal.SIGKILL)
        wait_until(lambda: not worker.processes(), "its child and its supervisor have ended", 60)
    # Then the batch was returned without the suspect, for the next worker
    assert [row["paths"] for row in fleet.batches() if row["suspect"]] == [["stuck.wav"]]
    assert [row["state"] for row in fleet.batches()] == ["queued", "queued"]
