"""A worker that runs and does nothing: only `cratesort health` detects it."""

import os
import signal

from tests.support.fleet import SUPERVISOR_ALONE
from tests.support.servers.lifecycle import wait_until

#: Longer than a worker that is awake leaves work lying; short enough to wait for.
IMPATIENT = {"CRATESORT_STUCK_SECONDS": "2"}


def test_work_waits_for_a_frozen_worker_and_is_done_when_it_resumes(fleet):
    """Without health from the ledger, a frozen worker looks like one that is alive."""
    fleet.add(count=8)
    with fleet.worker(settings=SUPERVISOR_ALONE) as worker:
        # Given a worker that has nothing to do, which is healthy
        assert fleet.cli("health", **IMPATIENT).code == 0

        # When it freezes with its supervisor, and there is work
        os.killpg(worker.pid, signal.SIGSTOP)
        fleet.submit()

        # Then the ledger shows it
        def is_stuck():
            return fleet.cli("health", **IMPATIENT).code == 3

        wait_until(is_stuck, "work is found to be stuck", 60)
        assert "unhealthy: 2 batches of" in fleet.cli("health", **IMPATIENT).stdout

        # And not any more when it wakes
        os.killpg(worker.pid, signal.SIGCONT)
        fleet.wait_until_done()
        assert fleet.cli("health", **IMPATIENT).code == 0
    fleet.assert_nothing_is_lost()
