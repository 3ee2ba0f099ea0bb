"""A real worker on real Redis: the rows it writes, and the messages it must not obey."""

import os

import pytest
import redis
from sqlalchemy import func, select

from db.states import BatchState
from db.tables import batches
from tests.support.databases import connected
from tests.support.servers.lifecycle import wait_until


@pytest.fixture
def submitted(run_cli, fleet, library):
    """The library as one batch in the ledger, whose message was lost."""
    settings = {**fleet, "CRATESORT_BATCH_SIZE": "1000"}
    assert run_cli("ingest", library, "--no-wait", settings=settings).code == 0
    with redis.Redis.from_url(fleet["CRATESORT_BROKER_URL"]) as client:
        client.flushall()
    return 1


def classify(app, **changed):
    message = {"version": 1, "batch_id": 1, "root": "library", "paths": [], **changed}
    app.send_task("tasks.classify", kwargs=message, queue="classify")


@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_a_fleet_writes_the_same_rows_as_a_single_process(
    run_cli, worker_process, fleet, library, read_rows, tmp_path, sqlite_url, kind
):
    # Given the rows of a process without a broker
    alone = {
        **fleet,
        "CRATESORT_BROKER_URL": "",
        "CRATESORT_DATABASE_URL": f"sqlite:///{tmp_path}/alone.db",
    }
    assert run_cli("ingest", library, settings=alone).code == 0
    expected = read_rows(alone["CRATESORT_DATABASE_URL"])
    assert len(expected) > 70

    # When a worker does the same through Redis
    if kind == "sqlite":
        fleet["CRATESORT_DATABASE_URL"] = sqlite_url
    with worker_process(settings=fleet):
        done = run_cli("ingest", library, "--wait", settings=fleet)

    # Then they are the same rows
    assert done.code == 0, done.stderr
    assert read_rows(fleet["CRATESORT_DATABASE_URL"]) == expected


def test_a_second_copy_of_a_message_claims_nothing(
    submitted, worker_process, fleet, app, wait_for_rows, read_rows
):
    with worker_process(settings=fleet) as worker:
        classify(app)
        wait_for_rows(fleet["CRATESORT_DATABASE_URL"])
        before = read_rows(fleet["CRATESORT_DATABASE_URL"])
        classify(app)
        wait_until(lambda: "skipped: another worker" in worker.log(), "the copy was read")
    assert read_rows(fleet["CRATESORT_DATABASE_URL"]) == before
    assert worker.log().count("79 classified") == 1


def test_paths_come_from_the_database_not_from_a_forged_message(
    submitted, worker_process, fleet, app, wait_for_rows, read_rows
):
    with worker_process(settings=fleet):
        classify(app, root="elsewhere", paths=["../../../etc/passwd", "/etc/shadow"])
        wait_for_rows(fleet["CRATESORT_DATABASE_URL"])
    rows = read_rows(fleet["CRATESORT_DATABASE_URL"])
    assert len(rows) == 79
    assert {row.root for row in rows} == {"library"}
    assert not any(row.path.endswith(("passwd", "shadow")) for row in rows)


FORGED = (
    {"batch_id": 999_999},
    {"batch_id": -1},
    {"batch_id": 10**30},
    {"batch_id": "1 OR 1=1"},
    {"batch_id": None},
    {"version": None},
    {"surprise": True},
    {"paths": "not a list"},
)


def test_forged_messages_do_not_stop_the_work(
    submitted, worker_process, fleet, app, wait_for_rows, read_rows
):
    with worker_process(settings=fleet):
        for forged in FORGED[:-1]:
            classify(app, **forged)
        classify(app, **FORGED[-1])  # of a batch that is there, so it is also the one that works
        wait_for_rows(fleet["CRATESORT_DATABASE_URL"])
    assert len(read_rows(fleet["CRATESORT_DATABASE_URL"])) == 79


def test_a_message_of_an_unknown_version_is_not_processed(
    submitted, worker_process, fleet, app, read_rows
):
    with worker_process(settings=fleet) as worker:
        classify(app, version=2)
        wait_until(lambda: "version 2 is not supported here" in worker.log(), "it was read")
    assert read_rows(fleet["CRATESORT_DATABASE_URL"]) == []


def test_an_unknown_task_does_not_stop_the_worker(
    submitted, worker_process, fleet, app, wait_for_rows
):
    with worker_process(settings=fleet) as worker:
        app.send_task("tasks.nonsense", queue="classify")
        wait_until(lambda: "unregistered task" in worker.log(), "it was refused")
        classify(app)
        wait_for_rows(fleet["CRATESORT_DATABASE_URL"])


class RunsCodeWhenUnpickled:
    def __init__(self, proof):
        self.proof = proof

    def __reduce__(self):
        return os.mkdir, (str(self.proof),)


def test_pickled_messages_are_refused_unread(
    submitted, worker_process, fleet, app, wait_for_rows, tmp_path
):
    proof = tmp_path / "code was run"
    with worker_process(settings=fleet) as worker:
        app.send_task(
            "tasks.classify",
            args=[RunsCodeWhenUnpickled(proof)],
            queue="classify",
            serializer="pickle",
        )
        wait_until(lambda: "its content-type is not" in worker.log(), "it is refused")
        classify(app)
        wait_for_rows(fleet["CRATESORT_DATABASE_URL"])
    assert not proof.exists()


def test_no_training_library_is_loaded_by_a_child(
    run_cli, worker_process, fleet, shim, library, tmp_path
):
    with worker_process(settings=fleet | shim):
        assert run_cli("ingest", library, "--wait", settings=fleet).code == 0
    loaded = [file.read_text().split("\n") for file in (tmp_path / "modules").iterdir()]
    assert loaded
    for modules in loaded:
        assert "onnxruntime" in modules  # the last batches were read after the first predictions
        assert not {"tensorflow", "keras", "sklearn", "joblib", "pandas", "scipy"} & set(modules)


def test_no_batch_is_left_running_when_a_worker_was_stopped(
    run_cli, worker_process, fleet, library
):
    settings = {**fleet, "CRATESORT_BATCH_SIZE": "1"}
    with worker_process(settings=settings):
        assert run_cli("ingest", library, "--no-wait", settings=settings).code == 0
    running = select(func.count()).where(batches.c.state == BatchState.RUNNING)
    with connected(fleet["CRATESORT_DATABASE_URL"]) as engine, engine.connect() as connection:
        assert connection.execute(running).scalar_one() == 0


def test_no_password_is_in_a_workers_log(worker_process, fleet, redis_server, postgres_server):
    with worker_process(settings=fleet | {"CRATESORT_LOG_LEVEL": "DEBUG"}) as worker:
        pass
    assert redis_server.password not in worker.log()
    assert postgres_server.password not in worker.log()
