"""Stopping a worker: with enough time, with too little, and by Ctrl-C twice."""

import os
import signal

from tests.support.fleet import SUPERVISOR_ALONE
from tests.support.servers.lifecycle import wait_until


def stop(worker, name):
    os.kill(worker.pid, name)


def test_sigterm_finishes_the_batch_in_progress(fleet):
    """Without the warm shutdown, the batch is cut off and done again."""
    fleet.add("gate.wav", count=3)
    fleet.shut_gate()
    fleet.submit()
    with fleet.worker(settings=SUPERVISOR_ALONE) as worker:
        fleet.wait_for_the_gate()
        stop(worker, signal.SIGTERM)
        fleet.open_gate()
        wait_until(lambda: not worker.processes(), "the worker has ended", 60)
    assert [row["state"] for row in fleet.batches()] == ["done"]
    fleet.assert_nothing_is_lost()


def test_sigterm_requeues_a_batch_that_does_not_end_in_time(fleet):
    """Without a limit during shutdown, the worker never ends."""
    fleet.add("stuck.wav", count=3)
    fleet.submit()
    limited = {**SUPERVISOR_ALONE, "CRATESORT_TIME_LIMIT_SECONDS": "4"}
    with fleet.worker(settings=limited) as worker:
        wait_until(lambda: fleet.working_pid() is not None, "it has claimed the batch", 60)
        stop(worker, signal.SIGTERM)
        wait_until(lambda: not worker.processes(), "the worker has ended", 60)
    assert [row["paths"] for row in fleet.batches() if row["suspect"]] == [["stuck.wav"]]
    assert "running" not in [row["state"] for row in fleet.batches()]


def test_sighup_stops_a_worker_like_sigterm(fleet):
    """Without our handler, Celery starts itself again and abandons the supervisor."""
    fleet.add(count=1)
    with fleet.worker(settings=SUPERVISOR_ALONE) as worker:
        stop(worker, signal.SIGHUP)
        wait_until(lambda: not worker.processes(), "all its processes have ended", 60)


def test_a_sigkill_soon_after_sigterm_loses_nothing(fleet, tmp_path):
    """Without the lease, what was killed during its shutdown stays running."""
    fleet.add("gate.wav", count=11)
    fleet.shut_gate()
    fleet.submit()
    ours = {"CRATESORT_DATA_FOLDER": str(tmp_path / "this host")}
    with fleet.worker(settings=ours) as worker:
        fleet.wait_for_the_gate()
        stop(worker, signal.SIGTERM)
        os.killpg(worker.pid, signal.SIGKILL)
        fleet.open_gate()
        fleet.end_leases()
        with fleet.worker():
            fleet.wait_until_done()
    fleet.assert_nothing_is_lost()


def test_a_second_ctrl_c_ends_a_worker_with_a_stuck_child_and_requeues_the_batch(fleet):
    """Without the second Ctrl-C's kill, the worker waits for a child that never ends."""
    fleet.add("stuck.wav", count=3)
    fleet.submit()
    with fleet.worker(settings=SUPERVISOR_ALONE) as worker:
        wait_until(lambda: fleet.working_pid() is not None, "it has claimed the batch", 60)
        # As a terminal sends it: to the whole foreground group
        os.killpg(worker.pid, signal.SIGINT)
        wait_until(lambda: "Ctrl-C again" in worker.log(), "the first was understood", 60)
        os.killpg(worker.pid, signal.SIGINT)
        wait_until(lambda: not worker.processes(), "all its processes have ended", 60)
    # Then the batch waits for the next worker, with no attempt counted
    (batch,) = fleet.batches()
    assert (batch["state"], batch["attempts"], batch["suspect"]) == ("queued", 0, False)
