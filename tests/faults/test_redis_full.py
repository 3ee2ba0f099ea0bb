"""Redis that is full and evicts nothing: it refuses writes, and the work waits in the ledger."""

import os
import signal

import kombu
import pytest
import redis

from tests.support.processes import WorkerProcess
from tests.support.servers.lifecycle import wait_until
from workers.celery_ext.app import build_app
from workers.settings import Settings


def test_work_waits_while_redis_is_full(fleet):
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
        assert "Redis is unreachable" in done.stderr
        assert "maxmemory" in done.stderr
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost()
    assert fleet.attempts() == 0


def test_a_worker_started_while_redis_is_full_survives_the_death_of_its_child(fleet, tmp_path):
    """Without the pool in the event loop from its start, the worker ends with its child."""
    fleet.add(count=4)

    with redis.Redis.from_url(fleet.broker_url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        worker = WorkerProcess(("--concurrency", "1"), tmp_path, fleet.settings)
        try:
            # Given a worker whose Redis has refused it from its start
            wait_until(lambda: "Cannot connect to redis" in worker.log(), "it was refused", 60)
            (child,) = worker.children()
            # When its child is killed
            os.kill(child, signal.SIGKILL)
            # Then there is another one, and it works when there is room
            wait_until(lambda: worker.children() - {child}, "there is another child", 60)
            client.config_set("maxmemory", 0)
            fleet.submit()
            fleet.wait_until_done()
        finally:
            client.config_set("maxmemory", 0)
            worker.end()
    fleet.assert_nothing_is_lost()


@pytest.mark.parametrize("answer", ["ack", "reject", "requeue"])
def test_a_worker_takes_messages_after_refused_acknowledgements(fleet, answer):
    """Without it a worker of two children takes nothing any more after two refusals."""
    # Given an unacknowledged message where at most one is allowed
    app = build_app(Settings(broker_url=fleet.broker_url))
    with redis.Redis.from_url(fleet.broker_url) as client, app.connection_for_read() as connection:
        channel = connection.default_channel
        queue = kombu.Queue("a queue", channel=channel)
        queue.declare()
        kombu.Producer(channel, routing_key=queue.name).publish({})
        channel.basic_qos(0, 1, False)
        message = queue.get()
        assert not channel.qos.can_consume()
        # When a full Redis refuses the acknowledgement
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(redis.ResponseError, match="maxmemory"):
                getattr(message, answer)()
        finally:
            client.config_set("maxmemory", 0)
        # Then another one is allowed
        assert channel.qos.can_consume()
