"""What a worker logs, and what Flower shows of it, says no password of the servers it uses.

Not here: the commands a person types (`tests.acceptance.test_secrets`).
"""

import base64
import http.client
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from tests.support.command_line import clean_environment
from tests.support.servers.lifecycle import die_with_parent, free_port, wait_until
from tests.support.servers.lifecycle import living_processes as processes

NAME_AND_PASSWORD = "anna:of the tests"
WORKER = "worker@host"


@pytest.fixture
def talkative(fleet):
    """A fleet that says all it can."""
    return fleet | {"CRATESORT_LOG_LEVEL": "DEBUG", "CRATESORT_SWEEP_SECONDS": "1"}


@pytest.fixture
def secrets(redis_server, postgres_server):
    """The passwords of the servers the fleet uses."""
    return [redis_server.password, postgres_server.password]


def revealed(secrets, text):
    return [secret for secret in secrets if secret in text]


def test_a_worker_logs_no_password_during_server_faults(
    worker_process, run_cli, talkative, library, redis_server, postgres_server, secrets
):
    with worker_process(settings=talkative) as worker:

        def logs(words):
            wait_until(lambda: words in worker.log(), f"the worker logs {words!r}", 60)

        # Given work that was done
        done = run_cli("ingest", library, "--wait", settings=talkative)
        assert done.code == 0, done.stderr
        assert not revealed(secrets, done.stdout + done.stderr)

        # When Redis goes away
        redis_server.kill()
        logs("Connection to broker lost")
        logs("Trying again")
        redis_server.start()

        # And when the database does
        postgres_server.kill()
        logs("the database does not answer")
        postgres_server.start()
        logs("the database is available again")
        log = worker.log()
    # Then no password is in the log, the tracebacks included
    assert "DEBUG" in log
    assert not revealed(secrets, log)


def test_a_worker_logs_neither_old_nor_new_password_after_a_change(
    worker_process, talkative, redis_server, postgres_server, postgres_url, secrets
):
    with (
        worker_process(settings=talkative) as worker,
        psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as database,
    ):
        # When PostgreSQL and Redis refuse the old passwords
        database.execute("ALTER ROLE cratesort PASSWORD 'another of the tests'")
        try:
            database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
            wait_until(
                lambda: "password authentication failed" in worker.log(),
                "the database refuses the worker",
                60,
            )
        finally:
            database.execute(f"ALTER ROLE cratesort PASSWORD '{postgres_server.password}'")
        with redis.Redis.from_url(redis_server.url) as client:
            client.config_set("requirepass", "another of the tests")
            try:
                client.client_kill_filter(_type="normal", skipme=True)
                wait_until(
                    lambda: "invalid username-password" in worker.log(),
                    "Redis refuses the worker",
                    60,
                )
            finally:
                client.config_set("requirepass", redis_server.password)
        log = worker.log()
    # Then neither is in the log
    assert not revealed(secrets, log)


def test_the_process_list_shows_no_password(worker_process, talkative, secrets):
    with worker_process(settings=talkative) as worker:
        commands = [
            Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()
            for process in processes()
            if process.group == worker.pid
        ]
    assert len(commands) > 3  # parent, supervisor, two children
    assert not revealed(secrets, "\n".join(commands))


@pytest.fixture
def flower(tmp_path, talkative):
    """Flower, started as the README says; a function that gets one of its pages."""
    port = free_port()
    with open(tmp_path / "flower.log", "wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "workers.celery_ext.app", "flower"),
                *("--address=127.0.0.1", f"--port={port}", f"--basic-auth={NAME_AND_PASSWORD}"),
            ],
            cwd=tmp_path,
            env=clean_environment(tmp_path, talkative),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent(9),
        )

    def get(page, name_and_password=NAME_AND_PASSWORD):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        token = base64.b64encode(name_and_password.encode()).decode()
        connection.request("GET", page, headers={"Authorization": f"Basic {token}"})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def answers():
        assert process.poll() is None, (tmp_path / "flower.log").read_text()
        try:
            return get("/healthcheck")[0] == 200
        except OSError:
            return False

    try:
        wait_until(answers, "Flower answers", 60)
        yield get
    finally:
        process.terminate()
        process.wait(30)


def test_flower_shows_no_password(
    worker_process, run_cli, talkative, flower, library, secrets, tmp_path
):
    obeying = "worker.enable_remote_control=true"
    with worker_process("--hostname", WORKER, "--task-events", obeying, settings=talkative):
        # Given a Flower that has queried a worker for everything and has seen its tasks
        done = run_cli("ingest", library, "--wait", settings=talkative)
        assert done.code == 0, done.stderr

        def has_asked():
            return "broker_transport_options" in flower("/api/workers?refresh=1")[1]

        wait_until(has_asked, "Flower knows the worker", 60)
        wait_until(lambda: "tasks.classify" in flower("/api/tasks")[1], "it knows a task", 60)

        # Then none of its pages shows a password
        pages = ["/", "/workers", f"/worker/{WORKER}", "/tasks", "/broker", "/metrics"]
        pages += ["/api/workers", "/api/tasks", "/api/task/types", "/api/queues/length"]
        shown = {page: flower(page) for page in pages}
    assert {page: status for page, (status, _) in shown.items() if status != 200} == {}
    assert [page for page, (_, text) in shown.items() if revealed(secrets, text)] == []
    # And they are not merely empty
    assert ":**@" in "".join(text for _, text in shown.values())
    assert WORKER in shown[f"/worker/{WORKER}"][1]
    assert not revealed(secrets, (tmp_path / "flower.log").read_text())


def test_flower_shows_nothing_without_its_password(flower):
    for page in ("/workers", "/broker", "/tasks", "/api/workers", "/api/tasks"):
        assert flower(page, "anna:guessed")[0] == 401
