"""kill -9 of only the parent: its children end with it, and the watch returns what they had."""

import os
import signal

from tests.faults.fleet import WATCH_ALONE
from tests.servers.lifecycle import wait_until


def test_children_finish_what_they_have_and_no_process_stays(fleet):
    fleet.add("gate.wav", count=11)
    fleet.shut_gate()
    fleet.submit()
    with fleet.worker(settings=WATCH_ALONE) as worker:
        fleet.wait_for_the_gate()

        # When the parent dies, and the child in hand comes to its end
        os.kill(worker.pid, signal.SIGKILL)
        fleet.open_gate()

        # Then the batch is done and all processes of the worker end by themselves
        fleet.wait_until_done()
        wait_until(lambda: not worker.processes(), "its children and its watch have ended", 60)
    fleet.assert_nothing_is_lost()


def test_a_child_that_never_ends_is_ended_by_the_watch(fleet):
    fleet.add("stuck.wav", count=3)
    fleet.submit()
    limited = {**WATCH_ALONE, "CRATESORT_TIME_LIMIT_SECONDS": "4"}
    with fleet.worker("--concurrency", "1", settings=limited) as worker:
        wait_until(lambda: fleet.holder() is not None, "it holds the batch", 60)
        os.kill(worker.pid, signal.SIGKILL)
        wait_until(lambda: not worker.processes(), "its child and its watch have ended", 60)
    # Then the batch was returned without the suspect, for whoever comes next
    assert [row["paths"] for row in fleet.batches() if row["suspect"]] == [["stuck.wav"]]
    assert [row["state"] for row in fleet.batches()] == ["queued", "queued"]
