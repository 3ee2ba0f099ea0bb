"""Redis killed without persistence, or emptied: the ledger rings again."""

import redis

from tests.support.servers.lifecycle import wait_until


def in_mid_run(fleet):
    """Hand in twelve batches of one sound each, the last of which stands at the gate."""
    fleet.settings["CRATESORT_BATCH_SIZE"] = "1"
    fleet.add("gate.wav", count=11)
    fleet.shut_gate()
    fleet.submit()


def test_batches_queued_when_redis_was_killed_are_done(fleet, redis_server):
    """Without republishing, the queued batches wait for messages that are gone."""
    in_mid_run(fleet)
    with fleet.worker() as worker:
        wait_until(lambda: len(fleet.outcomes()) > 2, "some are done", 60)
        redis_server.kill()
        fleet.open_gate()
        redis_server.start()
        fleet.wait_until_done()
        # And the loss is logged without Celery's warning of a default that is not used
        wait_until(lambda: "Connection to broker lost" in worker.log(), "it is logged", 60)
        assert "DeprecationWarning" not in worker.log()
        assert "Traceback" not in worker.log()
    fleet.assert_nothing_is_lost()
    assert fleet.attempts() == 0


def test_batches_queued_when_redis_was_flushed_are_done(fleet):
    """Without republishing, the queued batches wait for messages that are gone."""
    in_mid_run(fleet)
    with fleet.worker():
        wait_until(lambda: len(fleet.outcomes()) > 2, "some are done", 60)
        with redis.Redis.from_url(fleet.broker_url) as client:
            client.flushall()
        fleet.open_gate()
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost()
    assert fleet.attempts() == 0


def test_an_ingest_without_redis_is_done_when_it_is_reachable_again(fleet, redis_server):
    """Without the ledger as record, what could not be sent is lost."""
    fleet.add(count=12)
    redis_server.kill()
    try:
        done = fleet.cli("ingest", fleet.library, "--no-wait")
    finally:
        redis_server.start()
    assert done.code == 0
    assert done.stderr.count("warning: Redis is unreachable") == 1
    assert [row["state"] for row in fleet.batches()] == ["pending"] * 3
    with fleet.worker():
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost()
