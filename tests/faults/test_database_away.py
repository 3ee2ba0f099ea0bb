"""The database stopped or frozen during a batch: no attempt is counted, and no message is lost."""

import os
import re
import signal

import psycopg
import redis
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy import make_url

from tests.support.fleet import takes_no_messages
from tests.support.servers.lifecycle import wait_until
from workers.recovery.crash_marker import live_markers
from workers.settings import Settings

#: Leases outlast the outage, as they do in production; only markers return unwritten batches.
PATIENT = {"CRATESORT_TIME_LIMIT_SECONDS": "600", "CRATESORT_LEASE_MARGIN_SECONDS": "600"}


def knows(worker):
    """Whether a worker holds because its supervisor has found the database away."""
    return "the database does not answer" in worker.log() and takes_no_messages(worker)


def test_batches_in_progress_and_queued_are_done_with_no_attempt_counted(fleet, postgres_server):
    """Without the marker, the batch runs until its lease ends, and an attempt counts.

    Without the report of the child, further messages are used up, and they are not sent again.
    """
    fleet.add("gate.wav", *(f"kick {number:02}.wav" for number in range(39)))
    fleet.shut_gate()
    fleet.submit()
    unrepeated = PATIENT | {"CRATESORT_STALE_SECONDS": "600"}
    with (
        fleet.worker(settings=unrepeated) as worker,
        redis.Redis.from_url(fleet.broker_url) as client,
    ):
        # Given a batch in progress, and others queued, when the database stops
        wait_until(fleet.at_the_gate, "the first batch is in progress", 60)
        postgres_server.kill()
        fleet.open_gate()
        wait_until(lambda: "requeuing failed: " in worker.log(), "the batch failed", 60)
        # Then the messages of the others go back, or stay where they are
        waiting = ("classify.library", "classify.library:3")
        wait_until(lambda: sum(map(client.llen, waiting)) >= 9, "all of them are there", 60)

        # When it is back
        postgres_server.start()

        # Then all is done, and no attempt is counted
        fleet.wait_until_done()
        assert "requeued now that the database answers" in worker.log()
        assert "Traceback" not in worker.log()
    fleet.assert_nothing_is_lost()
    assert fleet.attempts() == 0
    assert not any(row["suspect"] for row in fleet.batches())


def test_no_message_is_taken_while_it_is_unreachable(fleet, postgres_server):
    """Without the pause, messages are taken and fail at their claim, with tracebacks."""
    fleet.add(count=12)
    with fleet.worker() as worker:
        postgres_server.kill()
        wait_until(lambda: knows(worker), "the worker takes no messages", 60)
        postgres_server.start()
        # Down again before it may take anything of what is handed in now
        fleet.submit()
        fleet.wait_until_done()
        assert "messages are taken again" in worker.log()
        assert "Traceback" not in worker.log()
    fleet.assert_nothing_is_lost()
    assert fleet.attempts() == 0


def test_messages_survive_an_outage(fleet, postgres_server):
    """Without the pause, the messages are used up by failures and are not sent again."""
    fleet.add(count=40)
    fleet.submit()
    patient = {"CRATESORT_STALE_SECONDS": "600"}  # no message is sent again
    with redis.Redis.from_url(fleet.broker_url) as client:
        messages = client.lrange("classify.library:3", 0, -1)
        assert len(messages) == 10
        client.delete("classify.library:3")
        with fleet.worker(settings=patient) as worker:
            # Given a worker that has noticed that the database is away
            postgres_server.kill()
            wait_until(lambda: knows(worker), "the worker takes no messages", 60)

            # When there are messages, then they stay where they are: one that was taken by a call
            # that had begun before is put back
            client.rpush("classify.library:3", *messages)
            wait_until(
                lambda: client.llen("classify.library:3") == 10, "all messages are there", 60
            )
            assert re.search(r"batch \d", worker.log()) is None

            # And all of them are obeyed when it is back
            postgres_server.start()
            fleet.wait_until_done()
    fleet.assert_nothing_is_lost()


def test_messages_are_taken_again_although_redis_failed_at_that_moment(
    fleet, postgres_server, redis_server
):
    """Without the list of held queues, the worker runs on and takes no message ever again."""
    fleet.add(count=12)
    # Without heartbeats: Celery repeats those until Redis answers, and notices nothing meanwhile
    with fleet.worker("--without-heartbeat") as worker:
        postgres_server.kill()
        wait_until(lambda: knows(worker), "the worker takes no messages", 60)
        # Given a Redis that is frozen when the database is back
        redis_server.freeze()
        try:
            postgres_server.start()
            # At its next poll
            wait_until(lambda: "Connection to broker lost" in worker.log(), "it fails", 60)
        finally:
            redis_server.thaw()

        # When both are there
        fleet.submit()

        # Then the worker does not only run, it works
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost()


def test_a_worker_waits_for_a_frozen_database(fleet, postgres_server):
    """Without the ping, a database that accepts connections and never answers goes unnoticed."""
    fleet.add("gate.wav", count=11)
    fleet.shut_gate()
    fleet.submit()
    with fleet.worker(settings=PATIENT) as worker:
        fleet.wait_for_the_gate()
        postgres_server.freeze()
        try:
            fleet.open_gate()
            wait_until(lambda: takes_no_messages(worker), "the worker takes no messages", 60)
        finally:
            postgres_server.thaw()
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost()
    assert fleet.attempts() == 0


def let_be_written(fleet, postgres_server, *, writable):
    """Make the database read-only, or writable again, also for open connections: a failover."""
    url = make_url(fleet.database_url)
    with psycopg.connect(
        make_url(postgres_server.url).set(drivername="postgresql").render_as_string(False),
        autocommit=True,
    ) as connection:
        setting = "off" if writable else "on"
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}").format(
                sql.Identifier(url.database), sql.SQL(setting)
            )
        )
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [url.database],
        )


def test_a_worker_waits_for_a_read_only_database(fleet, postgres_server):
    """Without the supervisor's write, messages are taken and put back once a second."""
    fleet.add("gate.wav", count=11)
    fleet.shut_gate()
    fleet.submit()
    with fleet.worker(settings=PATIENT | {"CRATESORT_STALE_SECONDS": "600"}) as worker:
        # Given a batch in progress when a standby takes over that is not promoted yet
        wait_until(fleet.at_the_gate, "the first batch is in progress", 60)
        let_be_written(fleet, postgres_server, writable=False)
        fleet.open_gate()
        wait_until(lambda: "the database is read-only" in worker.log(), "it is noticed", 60)
        wait_until(lambda: takes_no_messages(worker), "the worker takes no messages", 60)
        # When it may be written, then all is done
        let_be_written(fleet, postgres_server, writable=True)
        fleet.wait_until_done()
        assert "Traceback" not in worker.log()
    fleet.assert_nothing_is_lost()
    assert fleet.attempts() == 0


def test_a_second_ctrl_c_ends_all_processes_while_it_is_frozen(fleet, postgres_server):
    """Without the supervisor's kill before it queries the database, the stuck child stays."""
    fleet.add("stuck.wav", count=3)
    fleet.submit()
    with fleet.worker(settings=PATIENT) as worker:
        wait_until(lambda: fleet.working_pid() is not None, "it has claimed the batch", 60)
        postgres_server.freeze()
        try:
            os.killpg(worker.pid, signal.SIGINT)
            wait_until(lambda: "Ctrl-C again" in worker.log(), "it was understood", 60)
            os.killpg(worker.pid, signal.SIGINT)
            wait_until(lambda: not worker.processes(), "all its processes have ended", 60)
        finally:
            postgres_server.thaw()


def test_an_ingest_without_the_database_is_exit_code_3(fleet, postgres_server):
    """Without the translation of errors, a traceback with the URL and exit code 1."""
    fleet.add(count=1)
    postgres_server.stop()
    try:
        done = fleet.cli("ingest", fleet.library, "--no-wait")
    finally:
        postgres_server.start()
    assert done.code == 3
    assert "the database cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
    assert postgres_server.password not in done.stderr


def test_a_child_that_starts_meanwhile_has_a_crash_marker(fleet, postgres_server, tmp_path):
    """Without the remembered queues, the new child keeps no note and dies unseen."""
    settings = {"CRATESORT_DATA_FOLDER": str(tmp_path / "this host")}
    folder = Settings(
        data_folder=tmp_path / "this host", database_url=SecretStr(fleet.database_url)
    ).running_folder
    with fleet.worker(settings=settings) as worker:

        def child():
            return next((note.pid for note in live_markers(folder)), None)

        wait_until(lambda: child() is not None, "the child has its note")
        # Given a worker that takes no messages, because its database is unreachable
        postgres_server.kill()
        wait_until(lambda: knows(worker), "the worker takes no messages", 60)
        # When its child dies
        first = child()
        os.kill(first, signal.SIGKILL)
        # Then the one that takes its place can be seen by the supervisor
        try:
            wait_until(lambda: child() not in (None, first), "the new child has its note", 60)
        finally:
            postgres_server.start()
