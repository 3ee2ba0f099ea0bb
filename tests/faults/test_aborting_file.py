"""A file that aborts the process that reads it: recorded after three crashes alone."""

from tests.support.fleet import SUPERVISOR_ALONE


def test_a_file_that_crashes_its_reader_is_reported_and_the_others_are_classified(fleet):
    """Without counting its crashes alone, the file would crash children forever."""
    fleet.add("abort.wav", count=11)
    fleet.submit()
    with fleet.worker(settings=SUPERVISOR_ALONE) as worker:
        fleet.wait_until_done()
        log = worker.log()
    fleet.assert_nothing_is_lost(failed={"abort.wav": "crashed_reader"})
    # Once among others, three times alone.
    assert log.count("; requeued, the file that was being read in a batch of its own\n") == 1
    assert log.count("; requeued\n") == 2
    assert log.count("; recorded as failed\n") == 1


def test_two_in_one_batch_affect_no_other_sound(fleet):
    """Without isolation, the other two sounds of the batch would be recorded as crashed too."""
    fleet.add("abort 1.wav", "abort 2.wav", count=2)
    fleet.submit()
    with fleet.worker(settings=SUPERVISOR_ALONE):
        fleet.wait_until_done()
    crashed = {"abort 1.wav": "crashed_reader", "abort 2.wav": "crashed_reader"}
    fleet.assert_nothing_is_lost(failed=crashed)


def test_a_retry_of_it_affects_no_other_file(fleet):
    """Without a batch for each retried file, the repaired one would crash with the other."""
    # Given a file that was given up, and one that was merely broken
    fleet.add("abort.wav", count=3)
    (fleet.library / "empty.wav").touch()
    fleet.submit()
    with fleet.worker(settings=SUPERVISOR_ALONE):
        fleet.wait_until_done()
        status = fleet.cli("status").stdout
        assert "1 sound was given up" in status

        # When both are tried again, the first repaired
        fleet.add("abort.wav")
        (fleet.library / "abort.wav").rename(fleet.library / "repaired.wav")
        (fleet.library / "repaired.wav").rename(fleet.library / "abort.wav")
        again = fleet.cli("retry", "--failed", "--json", "--wait")
    assert again.code == 1
    assert '"enqueued": 2' in again.stdout
    # Then each was in a batch of its own
    assert [row["sound_count"] for row in fleet.batches() if row["ingest_id"] == 2] == [1, 1]


def test_an_error_that_would_end_the_worker_is_confined_to_its_file(fleet):
    """Celery ends a worker whose child reports a MemoryError; an exit was never counted."""
    fleet.add("memory.wav", "exit.wav", count=6)
    fleet.submit()
    with fleet.worker() as worker:
        fleet.wait_until_done()
        log = worker.log()
    fleet.assert_nothing_is_lost(
        failed={"memory.wav": "internal_error", "exit.wav": "internal_error"}
    )
    assert "Unrecoverable error" not in log
    # No child had to be replaced either
    assert log.count("(onnx engine)") == 1
