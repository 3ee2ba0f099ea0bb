"""Connections that stay open and answer nothing, while new ones work: they are replaced in time.

With ``--durations=0 --log-cli-level=INFO`` pytest logs how long that took.
"""

import logging
import time
from contextlib import ExitStack

import pytest

from tests.support.servers import NetworkNamespace, ServerUnavailableError, TcpProxy

log = logging.getLogger(__name__)

#: Leases outlast the test: what notices that a connection hangs brings a batch to its end.
PATIENT = {"CRATESORT_TIME_LIMIT_SECONDS": "600", "CRATESORT_LEASE_MARGIN_SECONDS": "600"}


@pytest.fixture
def stack():
    with ExitStack() as stack:
        yield stack


def proxies(stack, servers, host="127.0.0.1"):
    return [stack.enter_context(TcpProxy(server.port, host)) for server in servers]


def worker_behind(fleet, of_redis, of_postgres):
    urls = {
        "CRATESORT_BROKER_URL": of_redis.redirected(fleet.broker_url),
        "CRATESORT_DATABASE_URL": of_postgres.redirected(fleet.database_url),
    }
    return fleet.worker(settings=PATIENT | urls)


def work_is_done(fleet, hang):
    """Let connections hang while a batch is in progress, submit more, and wait for the end."""
    fleet.wait_for_the_gate()
    hang()
    began = time.monotonic()
    fleet.add(*(f"late {number}.wav" for number in range(8)))
    fleet.submit()
    fleet.open_gate()
    fleet.wait_until_done()
    log.info("all is done %.1f s after the connections hung", time.monotonic() - began)
    fleet.assert_nothing_is_lost()
    assert fleet.attempts() == 0


@pytest.fixture
def servers(redis_server, postgres_server):
    return redis_server, postgres_server


@pytest.fixture
def handed_in(fleet):
    """A fleet with a batch that stands at the gate, and others."""
    fleet.add("gate.wav", count=11)
    fleet.shut_gate()
    fleet.submit()
    return fleet


def test_a_worker_continues_after_all_its_connections_hang(handed_in, stack, servers):
    """Without the client's own limit, a child waits for PostgreSQL without end."""
    of_both = proxies(stack, servers)
    with worker_behind(handed_in, *of_both):
        work_is_done(handed_in, lambda: [proxy.freeze() for proxy in of_both])


@pytest.mark.release
def test_a_worker_continues_after_packets_of_all_its_connections_are_lost(
    handed_in, stack, servers
):
    """Without a limit for what is unacknowledged, it takes 16 minutes."""
    try:
        namespace = stack.enter_context(NetworkNamespace())
    except ServerUnavailableError as missing:
        pytest.skip(str(missing))
    of_both = proxies(stack, servers, namespace.address)
    with namespace.entered():
        stack.enter_context(worker_behind(handed_in, *of_both))
    work_is_done(handed_in, lambda: [namespace.drop(proxy.client_ports) for proxy in of_both])
