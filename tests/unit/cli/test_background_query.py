"""Queries of a server that may be frozen: none waits for ever, and one runs at a time."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cli.metrics.background_query import BackgroundQuery
from tests.support.servers.lifecycle import wait_until

SOON = 30.0


class Server:
    """Answers with the number of times it was asked, once it is let."""

    def __init__(self):
        self.times = 0
        self.thawed = threading.Event()
        self.fault = None

    def ask(self):
        self.times += 1
        self.thawed.wait()
        if self.fault is not None:
            raise self.fault
        return self.times


@pytest.fixture
def server():
    server = Server()
    yield server
    server.thawed.set()


@pytest.fixture
def query(server):
    return BackgroundQuery("the server", server.ask)


def test_a_result_in_time_is_returned(server, query):
    server.thawed.set()
    assert [query.result(SOON), query.result(SOON)] == [1, 2]


def test_a_query_that_takes_too_long_returns_none(query):
    assert query.result(0.01) is None


def test_an_unresponsive_server_gets_one_query_for_all_callers(server, query):
    for _ in range(5):
        query.result(0.01)
    assert server.times == 1


def test_concurrent_callers_share_one_result(server, query):
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(query.result, SOON) for _ in range(4)]
        wait_until(lambda: server.times == 1, "the server is asked")
        query.result(0.01)
        server.thawed.set()
        assert 1 in {answer.result() for answer in waiting}


def test_a_server_that_responds_again_gets_a_new_query(server, query):
    query.result(0.01)
    server.thawed.set()
    wait_until(lambda: query.result(SOON) == 2, "the first question is over")


def test_an_error_returns_none(server, query):
    server.fault = OSError("it is away")
    server.thawed.set()
    assert query.result(SOON) is None


def test_an_outage_and_its_end_are_logged_once_each(server, query, caplog):
    server.thawed.set()
    server.fault = OSError("it is away")
    with caplog.at_level(logging.WARNING):
        query.result(SOON)
        query.result(SOON)
        server.fault = None
        query.result(SOON)
        query.result(SOON)
    assert caplog.messages == ["the server: it is away", "the server: answers again"]
