"""Redis that is full and evicts nothing: it refuses writes, and the work waits in the ledger."""

import redis

from tests.support.servers.lifecycle import wait_until


def test_the_work_waits_until_there_is_room(fleet):
    """Without the transport's view of a refusal as a lost connection, the worker ends."""
    fleet.add(count=12)

    def all_wait():
        return [row["state"] for row in fleet.batches()] == ["pending"] * 3

    with redis.Redis.from_url(fleet.broker_url) as client, fleet.worker():
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        try:
            done = fleet.cli("ingest", fleet.library, "--no-wait")
            # A sweep may be trying just now, for which they are queued until it fails.
            wait_until(all_wait, "all batches are pending", 60)
        finally:
            client.config_set("maxmemory", 0)
        assert done.code == 0
        assert "Redis cannot be reached" in done.stderr
        assert "maxmemory" in done.stderr
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost()
    assert fleet.attempts() == 0
