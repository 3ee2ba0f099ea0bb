"""An intake killed in the middle of a round; Redis and the database unreachable during a round.

A lock on the ledger stops the intake before its commit, a Redis that refuses scripts after it.
"""

import os
import signal
import time
from contextlib import contextmanager

import pytest
import redis

from db.dialects import lock_table
from db.tables import ingests
from tasks.inbox.redis_lists import INBOX_KEY, INTAKES_KEY, TAKEN_PREFIX
from tests.support.fleet import on_both_databases
from tests.support.servers.lifecycle import wait_until

THREE = ["a.wav", "b.wav", "c.wav"]


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def push(fleet, client):
    """Put sounds into the library and their paths into the inbox."""

    def push(*names):
        fleet.add(*names)
        client.lpush(INBOX_KEY, *(str(fleet.library / name) for name in names))

    return push


@pytest.fixture
def three_in_hand(fleet, client, push):
    """While the block lasts, an intake has taken three entries and cannot write them."""

    @contextmanager
    def three_in_hand():
        with fleet.database() as engine, engine.begin() as connection:
            lock_table(connection, ingests)
            push(*THREE)
            wait_until(lambda: taken(client) == 3, "it has taken them")
            yield

    return three_in_hand


@contextmanager
def not_settled(three_in_hand, client, intake):
    """Let it commit, and let Redis refuse the acknowledgement."""
    try:
        with three_in_hand():
            client.acl_setuser("default", enabled=True, commands=["-evalsha", "-eval"])
        wait_until(lambda: "Redis cannot be used" in intake.log(), "it could not acknowledge")
        yield
    finally:
        client.acl_setuser("default", enabled=True, commands=["+@all"])


def taken(client):
    """How many entries intakes have taken."""
    return sum(
        client.llen(TAKEN_PREFIX.encode() + name) for name in client.zrange(INTAKES_KEY, 0, -1)
    )


def end_all_leases(client):
    for intake in client.zrange(INTAKES_KEY, 0, -1):
        client.zadd(INTAKES_KEY, {intake: 0})


def written(fleet):
    """The paths of all batches."""
    return [path for row in fleet.batches() for path in row["paths"]]


def kill(intake):
    os.kill(intake.pid, signal.SIGKILL)
    wait_until(lambda: not intake.processes(), "it is dead")


@on_both_databases
def test_an_intake_killed_before_its_commit_loses_nothing(
    fleet, client, three_in_hand, intake_process
):
    """Without the list of taken entries, the three files are gone with the intake."""
    # Given an intake that has taken its entries and cannot write them yet
    with intake_process(fleet.settings) as first, three_in_hand():
        # When it is killed
        kill(first)
    assert written(fleet) == []
    assert client.llen(INBOX_KEY) == 0

    # Then the next one writes them, as soon as the dead one's lease has ended
    with intake_process(fleet.settings):
        end_all_leases(client)
        wait_until(lambda: sorted(written(fleet)) == THREE, "the ledger has them")
        wait_until(lambda: taken(client) == 0, "no entry is taken")


def test_killed_after_its_commit_the_round_is_repeated(
    fleet, client, three_in_hand, intake_process
):
    """Without the upsert, the second round's sounds are second rows or errors."""
    # Given an intake that has committed its entries and cannot acknowledge them in Redis yet
    with (
        intake_process(fleet.settings) as first,
        not_settled(three_in_hand, client, first),
    ):
        # When it is killed
        kill(first)
    assert sorted(written(fleet)) == THREE
    assert taken(client) == 3

    # Then the next one writes them again, and every sound has its one row in the end
    with intake_process(fleet.settings):
        end_all_leases(client)
        wait_until(lambda: taken(client) == 0, "no entry is taken")
    assert sorted(written(fleet)) == sorted(2 * THREE)
    with fleet.worker():
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost()


def test_a_round_that_cannot_be_acknowledged_is_written_once(
    fleet, client, three_in_hand, intake_process
):
    """Without the memory of what was written, each try writes the three files again."""
    with intake_process(fleet.settings) as intake:
        with not_settled(three_in_hand, client, intake):
            time.sleep(2.5)  # two more tries
        wait_until(lambda: taken(client) == 0, "it has settled")
        assert sorted(written(fleet)) == THREE
        # And that was logged once, not at each try; its end is logged after the round
        wait_until(lambda: "Redis is available again" in intake.log(), "it says so")
        assert intake.log().count("Redis cannot be used") == 1


def test_redis_killed_during_a_round_and_back_empty(
    fleet, client, redis_server, three_in_hand, push, intake_process
):
    """Without the round kept in memory, the three files are gone with Redis."""
    with intake_process(fleet.settings) as intake:
        with three_in_hand():
            redis_server.kill()
        try:
            wait_until(lambda: "Redis cannot be used" in intake.log(), "it has noticed")
        finally:
            redis_server.start()
        # The taken entries are in the ledger, once; and new ones are taken too
        push("d.wav")
        wait_until(lambda: sorted(written(fleet)) == [*THREE, "d.wav"], "the rest is in")
        assert "Traceback" not in intake.log()
        assert redis_server.password not in intake.log()


def test_an_intake_starts_before_its_redis(fleet, client, redis_server, push, intake_process):
    """Without the retry, the intake ends at its start."""
    redis_server.kill()
    with intake_process(fleet.settings) as intake:
        try:
            wait_until(lambda: "Redis cannot be used" in intake.log(), "it has noticed")
        finally:
            redis_server.start()
        push("a.wav")
        wait_until(lambda: written(fleet) == ["a.wav"], "the ledger has it")


def test_entries_wait_while_the_database_is_unreachable(
    fleet, client, postgres_server, intake_process
):
    """Without the retry, the intake ends, or drains the inbox into its memory."""
    names = [f"{number}.wav" for number in range(9)]
    fleet.add(*names)
    with intake_process(fleet.settings) as intake:
        postgres_server.kill()
        try:
            client.lpush(INBOX_KEY, "nonsense", *(str(fleet.library / name) for name in names))
            wait_until(lambda: "the database cannot be used" in intake.log(), "it has noticed")
            time.sleep(2.5)  # two more tries
            # Four entries are taken, the others wait where other intakes could take them
            assert (taken(client), client.llen(INBOX_KEY)) == (4, 6)
            assert intake.log().count("WARNING") == 1
        finally:
            postgres_server.start()
        wait_until(lambda: sorted(written(fleet)) == names, "the ledger has all")
        wait_until(lambda: "the database is available again" in intake.log(), "it says so")
        assert (
            intake.log().count(
                "invalid entries of the inbox, moved to the dead list cratesort:inbox:dead: 1;"
            )
            == 1
        )
        assert "Traceback" not in intake.log()


def test_stopped_while_the_database_is_unreachable_it_leaves_the_round_to_others(
    fleet, client, postgres_server, intake_process
):
    """Without giving back, the entry waits until the stopped intake's lease ends."""
    fleet.add("a.wav")
    with intake_process(fleet.settings) as first:
        postgres_server.kill()
        try:
            client.lpush(INBOX_KEY, str(fleet.library / "a.wav"))
            wait_until(lambda: "the database cannot be used" in first.log(), "it has noticed")
            assert first.stop(signal.SIGTERM) == 0
        finally:
            postgres_server.start()
    # No lease has to end
    with intake_process(fleet.settings):
        wait_until(lambda: written(fleet) == ["a.wav"], "the ledger has it")


def test_a_second_ctrl_c_ends_it_while_the_database_is_frozen(
    fleet, client, postgres_server, intake_process
):
    """Without the handler of the second Ctrl-C, the intake waits for the database forever."""
    fleet.add("a.wav")
    with intake_process(fleet.settings) as intake:
        wait_until(lambda: client.exists(INTAKES_KEY), "it serves")
        postgres_server.freeze()
        try:
            client.lpush(INBOX_KEY, str(fleet.library / "a.wav"))
            wait_until(lambda: taken(client) == 1, "it has taken the entry")
            os.kill(intake.pid, signal.SIGINT)
            wait_until(lambda: "Ctrl-C again" in intake.log(), "it was understood")
            assert intake.stop(signal.SIGINT) == 130
        finally:
            postgres_server.thaw()
    assert taken(client) == 1
