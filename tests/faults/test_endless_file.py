"""A file whose reading never ends: recorded after three timeouts alone."""

from tests.support.fleet import SUPERVISOR_ALONE

#: The limit ends the child; leases and sweeps do nothing within the test.
LIMITED = {**SUPERVISOR_ALONE, "CRATESORT_TIME_LIMIT_SECONDS": "3"}


def test_a_file_that_hangs_is_timed_out_and_the_others_are_classified(fleet):
    """Without the time limit, the child would never return, and its batch would never be done."""
    fleet.add("endless.wav", count=11)
    fleet.submit()
    with fleet.worker(settings=LIMITED) as worker:
        fleet.wait_until_done()
    # Each timeout is logged once: in its batch of twelve, and three times alone
    assert worker.log().count("exceeded its time limit; ") == 4
    assert "Hard time limit" not in worker.log()
    fleet.assert_nothing_is_lost(failed={"endless.wav": "timed_out"})


def test_a_file_that_hangs_and_ignores_signals_is_timed_out(fleet):
    """Without SIGKILL after the limit, the child would wait in C forever."""
    fleet.add("stuck.wav", count=3)
    fleet.submit()
    with fleet.worker(settings=LIMITED):
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost(failed={"stuck.wav": "timed_out"})
