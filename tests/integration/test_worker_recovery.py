"""A real fleet when something dies under it: every file still ends with its one row."""

import os
import signal

import pytest
import redis
from sqlalchemy import func, select

from db.engine import reading
from db.tables import BatchState, batches
from tests import sounds
from tests.integration.conftest import connected
from tests.servers.lifecycle import is_alive, wait_until

#: Leases and sweeps short enough for a test. `-B`: the worker runs the beat too.
QUICK = {
    "CRATESORT_TIME_LIMIT_SECONDS": "2",
    "CRATESORT_LEASE_MARGIN_SECONDS": "1",
    "CRATESORT_STALE_SECONDS": "1",
    "CRATESORT_SWEEP_SECONDS": "1",
    "CRATESORT_BATCH_SIZE": "4",
}
BEAT = ("-B", "--schedule", "beat-schedule")


@pytest.fixture
def sounds_folder(tmp_path):
    """Twelve sounds; the reader stops at one of them while the gate is shut."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    for index in range(11):
        (folder / f"kick {index:02}.wav").write_bytes(sounds.encoded())
    (folder / "gate.wav").write_bytes(sounds.encoded())
    return folder


@pytest.fixture
def quick_fleet(fleet, shim, sounds_folder):
    """The settings of a fleet that is quick to notice a death."""
    return {**fleet, **shim, **QUICK, "CRATESORT_LIBRARY_ROOTS": f"library={sounds_folder}"}


def worker_in_hand(url):
    """The process that holds a running batch at the gate, or None."""
    held = select(batches.c.worker).where(batches.c.state == BatchState.RUNNING)
    with connected(url) as engine, reading(engine) as connection:
        names = connection.execute(held).scalars().all()
    return int(names[0].split(":")[1]) if len(names) == 1 else None


def count_done(url):
    done = select(func.count()).where(batches.c.state == BatchState.DONE)
    with connected(url) as engine, reading(engine) as connection:
        return connection.execute(done).scalar_one()


def names(rows):
    return [row.path for row in rows if row.category]


def test_what_a_killed_child_had_in_hand_is_done_by_another(
    run_cli, worker_process, quick_fleet, sounds_folder, gate, wait_for_rows, read_rows
):
    url = quick_fleet["CRATESORT_DATABASE_URL"]
    with worker_process(*BEAT, settings=quick_fleet | {"CRATESORT_TIME_LIMIT_SECONDS": "20"}) as w:
        # Given a child that stands in the middle of a batch, the other batches done
        assert run_cli("ingest", sounds_folder, "--no-wait", settings=quick_fleet).code == 0
        wait_until(lambda: count_done(url) == 2 and worker_in_hand(url), "it stands at the gate")
        child = worker_in_hand(url)

        # When it is killed
        assert child in w.processes()
        os.kill(child, signal.SIGKILL)
        gate.unlink()

        # Then its lease ends and another child does its batch
        wait_for_rows(url)
    assert names(read_rows(url)) == sorted(path.name for path in sounds_folder.iterdir())


def test_what_redis_forgot_is_published_again(
    run_cli,
    worker_process,
    quick_fleet,
    sounds_folder,
    gate,
    redis_server,
    wait_for_rows,
    read_rows,
):
    url = quick_fleet["CRATESORT_DATABASE_URL"]
    settings = quick_fleet | {"CRATESORT_TIME_LIMIT_SECONDS": "20", "CRATESORT_BATCH_SIZE": "1"}
    with worker_process("--concurrency", "1", *BEAT, settings=settings):
        # Given a worker in mid-run, its other messages waiting in Redis
        assert run_cli("ingest", sounds_folder, "--no-wait", settings=settings).code == 0
        wait_until(lambda: worker_in_hand(url) is not None, "it stands at the gate")

        # When Redis forgets everything
        with redis.Redis.from_url(quick_fleet["CRATESORT_BROKER_URL"]) as client:
            client.flushall()
        gate.unlink()

        # Then all is done in the end
        wait_for_rows(url)
    assert names(read_rows(url)) == sorted(path.name for path in sounds_folder.iterdir())


def test_the_workers_time_limit_holds_against_the_message(
    run_cli, worker_process, quick_fleet, sounds_folder, gate, app
):
    # Given a batch that will not end, and a message that claims an hour for it
    url = quick_fleet["CRATESORT_DATABASE_URL"]
    settings = quick_fleet | {"CRATESORT_BATCH_SIZE": "100"}
    assert run_cli("ingest", sounds_folder, "--no-wait", settings=settings).code == 0
    with redis.Redis.from_url(quick_fleet["CRATESORT_BROKER_URL"]) as client:
        client.flushall()
    message = {"version": 1, "batch_id": 1, "root": "library", "paths": []}
    app.send_task(
        "tasks.classify", kwargs=message, queue="classify", time_limit=3600, soft_time_limit=3600
    )

    # When a worker with a limit of 2 s takes it
    with worker_process(settings=settings) as worker:
        wait_until(lambda: worker_in_hand(url) is not None, "it stands at the gate")
        child = worker_in_hand(url)

        # Then the child is killed by the worker's own limit
        wait_until(lambda: not is_alive(child), "the limit ended it")
        wait_until(lambda: "TimeLimitExceeded(2.0" in worker.log(), "the worker says why")


def test_a_file_that_never_ends_costs_only_itself(
    run_cli, worker_process, quick_fleet, tmp_path, wait_for_rows, read_rows
):
    folder = tmp_path / "two"
    folder.mkdir()
    for name in ("endless.wav", "kick.wav"):
        (folder / name).write_bytes(sounds.encoded())
    settings = quick_fleet | {"CRATESORT_LIBRARY_ROOTS": f"library={folder}"}
    url = settings["CRATESORT_DATABASE_URL"]
    with worker_process(*BEAT, settings=settings):
        assert run_cli("ingest", folder, "--no-wait", settings=settings).code == 0
        wait_for_rows(url, patience_seconds=120)
    endless, kick = read_rows(url)
    # The first when the child had the moment to say so before it was killed.
    assert endless.error_code in ("timed_out", "crashed_reader")
    assert kick.category


def test_work_submitted_while_redis_was_away_is_done_when_it_is_back(
    run_cli, worker_process, quick_fleet, sounds_folder, redis_server, wait_for_rows, read_rows
):
    url = quick_fleet["CRATESORT_DATABASE_URL"]
    # Given work handed in while Redis was away
    redis_server.kill()
    try:
        done = run_cli("ingest", sounds_folder, "--no-wait", settings=quick_fleet)
        status = run_cli("status", settings=quick_fleet)
    finally:
        redis_server.start()
    assert (done.code, status.code) == (0, 0)
    assert done.stderr.count("warning: Redis cannot be reached") == 1
    assert "12 in the ledger" in done.stdout
    assert "3 pending" in status.stdout

    # When Redis is back, and a worker
    with worker_process(*BEAT, settings=quick_fleet):
        wait_for_rows(url)

    # Then it is done
    assert names(read_rows(url)) == sorted(path.name for path in sounds_folder.iterdir())


def test_handing_in_while_the_database_is_away_is_exit_code_3(
    run_cli, quick_fleet, sounds_folder, postgres_server
):
    postgres_server.stop()
    try:
        done = run_cli("ingest", sounds_folder, "--no-wait", settings=quick_fleet)
    finally:
        postgres_server.start()
    assert done.code == 3
    assert "the database cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
    assert postgres_server.password not in done.stderr
