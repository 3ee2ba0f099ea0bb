"""SIGSTOP past the lease, then SIGCONT: the zombie finds its batch taken and writes nothing."""

import os
import signal

from tests.support.servers.lifecycle import wait_until


def test_a_worker_whose_lease_expired_while_it_was_stopped_writes_nothing(fleet, tmp_path):
    """Without the token, the sleeper writes over what another wrote since."""
    fleet.add("gate.wav", count=11)
    fleet.shut_gate()
    fleet.submit()
    asleep = {"CRATESORT_DATA_FOLDER": str(tmp_path / "this host")}
    awake = {"CRATESORT_DATA_FOLDER": str(tmp_path / "that host")}
    with fleet.worker(settings=asleep) as sleeper:
        # Given a worker whose processes are all stopped while it has a batch in progress
        child = fleet.wait_for_the_gate()
        os.killpg(sleeper.pid, signal.SIGSTOP)

        with fleet.worker(settings=awake | {"TEST_GATE": str(tmp_path / "no gate")}):
            # When its lease has ended, another had to do that batch, and the first wakes up
            fleet.end_leases()
            fleet.wait_until_done()
            before = fleet.batches()
            fleet.open_gate()
            os.killpg(sleeper.pid, signal.SIGCONT)

            # Then it discards its results
            wait_until(
                lambda: "results discarded" in sleeper.log() or child not in sleeper.processes(),
                "the sleeper has come to its batch's end",
                60,
            )
    assert fleet.batches() == before
    fleet.assert_nothing_is_lost()
