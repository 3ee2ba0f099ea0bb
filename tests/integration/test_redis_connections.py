"""What Redis has of workers: messages of lost connections, and the names of those that live."""

import logging

import kombu
import pytest
import redis

from workers.celery_ext.presence import announced
from workers.celery_ext.redis_transport import install


@pytest.mark.parametrize("settle", ["ack_log_error", "reject_log_error"])
def test_acknowledging_on_a_lost_connection_is_logged(redis_url, caplog, settle):
    install()
    # Given a message that was taken
    with kombu.Connection(redis_url) as connection:
        queue = kombu.Queue("a queue", channel=connection.default_channel)
        queue.declare()
        kombu.Producer(connection, routing_key="a queue").publish({"a": "message"})
        message = queue.get()
        # When its connection is lost before its task has ended
        message.channel.close()
        message.channel._disconnect_pools()  # kombu: so it ends when Redis is away meanwhile
        getattr(message, settle)(logging.getLogger("celery"), connection.connection_errors)
    # Then that is logged, and no error of the program's
    assert "was lost" in caplog.text


def test_a_worker_name_from_redis_is_one_escaped_line(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        client.set("cratesort:worker:w1\nok  \x1b[2J", "classify", ex=60)
        assert announced(client) == {"w1\\x0aok  \\x1b[2J": {"classify"}}
