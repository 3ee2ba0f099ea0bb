"""kill -9 of a child: its batch returns at once, without the file it was reading."""

import os
import signal

from tests.support.fleet import SUPERVISOR_ALONE
from tests.support.processes import WorkerProcess
from tests.support.servers.lifecycle import wait_until


def test_the_batch_of_a_killed_child_is_finished_before_its_lease_ends(fleet):
    """Without the supervisor, the batch stays with a dead child until its lease ends."""
    fleet.add("gate.wav", count=11)
    fleet.shut_gate()
    fleet.submit()
    with fleet.worker("--concurrency", "2", settings=SUPERVISOR_ALONE) as worker:
        # Given a child that stands in the middle of a batch
        child = fleet.wait_for_the_gate()
        assert child in worker.processes()

        # When it is killed
        os.kill(child, signal.SIGKILL)

        # Then the other sounds of its batch are done while the suspect stands at the gate again
        wait_until(lambda: len(fleet.outcomes()) == 11, "its batch-mates have their rows", 60)
        suspects = [row for row in fleet.batches() if row["suspect"]]
        assert [row["paths"] for row in suspects] == [["gate.wav"]]

        # And the log has its death once
        (line,) = [line for line in worker.log().splitlines() if str(child) in line]
        assert f"its worker process {child} died; requeued, the file that was being read" in line
        assert "WorkerLostError" not in worker.log()

        # And the suspect is done too when it was not its fault
        fleet.open_gate()
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost()


def test_repeated_kills_of_children_lose_no_file(fleet):
    """Without the rule that only deaths alone count, the good file ends as crashed."""
    fleet.add("gate.wav", count=7)
    fleet.shut_gate()
    fleet.submit()
    with fleet.worker(settings=SUPERVISOR_ALONE):
        for _ in range(3):  # together with its batch, and twice alone
            child = fleet.wait_for_the_gate()
            os.kill(child, signal.SIGKILL)
            wait_until(
                lambda dead=child: fleet.working_pid() not in (None, dead), "another has it", 60
            )
        fleet.open_gate()
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost()


def test_a_child_that_dies_at_its_start_does_not_end_the_worker(fleet, tmp_path):
    """Without a pool that is looked after from its start, the worker ends with its first child."""
    fleet.add(count=4)
    worker = WorkerProcess(("--concurrency", "1"), tmp_path, fleet.settings)
    try:
        wait_until(worker.children, "it has a child", 60)
        for child in worker.children():
            os.kill(child, signal.SIGKILL)
        fleet.submit()
        fleet.wait_until_done()
    finally:
        worker.end()
    fleet.assert_nothing_is_lost()
