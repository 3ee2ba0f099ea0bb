"""Asking somebody who may be frozen: nobody waits for ever, and nobody asks twice at once."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cli.metrics.background_query import Asking
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
def asking(server):
    return Asking("the server", server.ask)


def test_an_answer_in_time_is_returned(server, asking):
    server.thawed.set()
    assert [asking.answer(SOON), asking.answer(SOON)] == [1, 2]


def test_who_gets_no_answer_in_time_gets_none(asking):
    assert asking.answer(0.01) is None


def test_a_frozen_server_is_asked_once_however_many_come(server, asking):
    for _ in range(5):
        asking.answer(0.01)
    assert server.times == 1


def test_all_who_wait_share_one_answer(server, asking):
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(asking.answer, SOON) for _ in range(4)]
        wait_until(lambda: server.times == 1, "the server is asked")
        asking.answer(0.01)
        server.thawed.set()
        assert 1 in {answer.result() for answer in waiting}


def test_after_it_thawed_it_is_asked_anew(server, asking):
    asking.answer(0.01)
    server.thawed.set()
    wait_until(lambda: asking.answer(SOON) == 2, "the first question is over")


def test_a_fault_is_no_answer(server, asking):
    server.fault = OSError("it is away")
    server.thawed.set()
    assert asking.answer(SOON) is None


def test_a_fault_and_its_end_are_a_line_each(server, asking, caplog):
    server.thawed.set()
    server.fault = OSError("it is away")
    with caplog.at_level(logging.WARNING):
        asking.answer(SOON)
        asking.answer(SOON)
        server.fault = None
        asking.answer(SOON)
        asking.answer(SOON)
    assert caplog.messages == ["the server: it is away", "the server: answers again"]
