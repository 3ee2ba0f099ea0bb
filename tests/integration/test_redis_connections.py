"""Messages whose connection to Redis was lost meanwhile."""

import logging

import kombu
import pytest

from workers.celery_ext.redis_transport import install


@pytest.mark.parametrize("settle", ["ack_log_error", "reject_log_error"])
def test_a_message_of_a_lost_connection_is_settled_with_a_line_in_the_log(
    redis_url, caplog, settle
):
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
