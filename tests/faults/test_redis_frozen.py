"""Redis that accepts and never answers: no command waits for it, and nothing is lost."""

import os
import signal

from tests.support.servers.lifecycle import wait_until


def test_an_ingest_ends_with_a_warning_and_its_batches_wait(fleet, redis_server):
    """Without the socket time-out, the command hangs until Redis answers."""
    fleet.add(count=12)
    redis_server.freeze()
    try:
        done = fleet.cli("ingest", fleet.library, "--no-wait")
    finally:
        redis_server.thaw()
    assert done.code == 0
    assert "Redis is unreachable" in done.stderr
    assert [row["state"] for row in fleet.batches()] == ["pending"] * 3
    with fleet.worker():
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost()


def test_a_worker_waiting_for_an_unresponsive_redis_continues(fleet, redis_server):
    """Without reconnecting, the worker waits on a dead connection."""
    fleet.add(count=12)
    with fleet.worker():
        redis_server.freeze()
        try:
            assert fleet.cli("ingest", fleet.library, "--no-wait").code == 0
        finally:
            redis_server.thaw()
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost()
    assert fleet.attempts() == 0


def test_a_worker_that_is_stopped_ends(fleet, redis_server):
    """Without the shutdown timer, the parent waits for Redis and never ends."""
    # Seconds after its batches' time is over it waits no longer
    with fleet.worker(settings={"CRATESORT_TIME_LIMIT_SECONDS": "2"}) as worker:
        redis_server.freeze()
        try:
            os.kill(worker.pid, signal.SIGTERM)
            wait_until(lambda: not worker.processes(), "all its processes have ended", 60)
        finally:
            redis_server.thaw()
