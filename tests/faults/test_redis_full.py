"""Redis that is full and evicts nothing: it refuses writes, and the work waits in the ledger."""

import redis


def test_the_work_waits_until_there_is_room(fleet):
    fleet.add(count=12)
    with redis.Redis.from_url(fleet.broker_url) as client, fleet.worker():
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        try:
            done = fleet.cli("ingest", fleet.library, "--no-wait")
            waiting = {row["state"] for row in fleet.batches()}
        finally:
            client.config_set("maxmemory", 0)
        assert done.code == 0
        assert "Redis cannot be reached" in done.stderr
        assert "maxmemory" in done.stderr
        assert waiting == {"pending"}
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost()
    assert fleet.attempts() == 0
