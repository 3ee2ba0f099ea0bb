"""``cratesort metrics``: the truth of the rows, in Prometheus' format, whoever else is away."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from db.registry import training_runs
from db.states import RunTrigger
from tests.support import sounds
from tests.support.command_line import clean_environment
from tests.support.databases import connected
from tests.support.servers.lifecycle import wait_until


@pytest.fixture
def folder(tmp_path):
    """Two sounds and one that is none."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    for name in ("kick.wav", "zzqx brrk.wav"):
        (folder / name).write_bytes(sounds.encoded())
    (folder / "letter.wav").write_text("Dear Sir\n")
    return folder


@pytest.fixture
def fleet(redis_url, postgres_url, folder):
    """The settings of a fleet."""
    return {
        "CRATESORT_BROKER_URL": redis_url,
        "CRATESORT_DATABASE_URL": postgres_url,
        "CRATESORT_LIBRARY_ROOTS": f"main={folder}",
    }


def parsed(page):
    """The value of each series, by its name and labels as they are written."""
    values = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
            values[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
    return values


@pytest.fixture
def printed(run_cli):
    """The series of ``cratesort metrics --print``."""

    def printed(settings=None):
        done = run_cli("metrics", "--print", settings=settings)
        assert (done.code, done.stderr) == (0, "")
        return parsed(done.stdout)

    return printed


@pytest.fixture
def serving(tmp_path):
    """Run ``cratesort metrics`` at a free port while a block lasts; gives its page when called."""

    @contextmanager
    def serving(settings):
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "metrics", "--port", "0"],
            cwd=tmp_path,
            env=clean_environment(tmp_path, settings),
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            address = json.loads(process.stderr.readline())["message"].split()[-1]

            def page():
                with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310  (http, and ours)
                    return parsed(answer.read().decode())

            yield page
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()
            process.stderr.close()

    return serving


# The numbers


def test_metrics_count_the_results_of_an_ingest(run_cli, folder, printed):
    run_cli("ingest", folder)
    series = printed()
    assert series["cratesort_up"] == 1
    assert series['cratesort_finished_sounds_total{outcome="classified"}'] == 2
    assert series['cratesort_finished_sounds_total{outcome="failed"}'] == 1
    assert series['cratesort_failed_sounds{error_code="not_audio"}'] == 1
    assert series['cratesort_classified_sounds{category="drum"}'] >= 1
    assert series['cratesort_batches{state="done"}'] == 1
    assert series["cratesort_queue_wait_seconds_count"] == 1
    assert series["cratesort_confidence_ratio_count"] == 2
    assert series["cratesort_unknown_name_tokens_total"] >= 2
    assert series['cratesort_training_run{state="none"}'] == 1
    assert "cratesort_broker_up" not in series


def test_two_processes_and_a_restart_give_the_same_metrics(
    run_cli, folder, fleet, serving, worker_process
):
    with worker_process(settings=fleet):
        assert run_cli("ingest", folder, "--wait", settings=fleet).code == 1
    with serving(fleet) as one, serving(fleet) as other:
        before = one()
        assert other() == before
    with serving(fleet) as again:
        assert again() == before
    assert before['cratesort_finished_sounds_total{outcome="classified"}'] == 2


def test_waiting_messages_and_batches_are_counted(run_cli, folder, fleet, printed):
    assert run_cli("ingest", folder, "--no-wait", settings=fleet).code == 0
    series = printed(fleet)
    assert series["cratesort_broker_up"] == 1
    assert series['cratesort_broker_messages{queue="classify.main"}'] == 1
    assert series['cratesort_broker_messages{queue="training"}'] == 0
    assert series['cratesort_inbox_entries{list="waiting"}'] == 0
    assert series['cratesort_batches{state="queued"}'] == 1
    assert series["cratesort_open_sounds"] == 3
    assert series["cratesort_oldest_waiting_batch_age_seconds"] > 0
    assert series["cratesort_unclaimed_seconds"] > 0


def test_the_last_training_run_has_its_state_and_times(fleet, postgres_url, printed):
    with connected(postgres_url) as engine, engine.begin() as connection:
        run = training_runs.open_run(
            connection,
            slot=None,
            trigger=RunTrigger.HAND,
            lease_seconds=60,
            holder="here:1",
            seed=1,
            libraries={},
        )
        assert training_runs.close_failed(connection, run.id, run.token, reason="no room")
    series = printed(fleet)
    assert series['cratesort_training_run{state="failed"}'] == 1
    assert series['cratesort_training_run{state="none"}'] == 0
    began = series["cratesort_training_run_start_timestamp_seconds"]
    assert began <= series["cratesort_training_run_end_timestamp_seconds"] < began + 60


@pytest.mark.skipif(
    shutil.which("promtool") is None and os.environ.get("CI") != "true",
    reason="promtool is not here: apt-get install prometheus",
)
def test_promtool_accepts_the_metrics(run_cli, folder, fleet):
    run_cli("ingest", folder, "--no-wait", settings=fleet)
    page = run_cli("metrics", "--print", settings=fleet).stdout
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=page, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# When a server is unreachable


def test_a_missing_database_is_reported_and_not_created(run_cli, tmp_path):
    where = {"CRATESORT_DATABASE_URL": f"sqlite:///{tmp_path}/none.db"}
    done = run_cli("metrics", "--print", settings=where)
    assert (done.code, parsed(done.stdout)) == (3, {"cratesort_up": 0})
    assert "the database: there is no database at sqlite:///" in done.stderr
    assert not (tmp_path / "none.db").exists()


def test_a_database_without_tables_is_reported_with_the_command_to_run(run_cli, postgres_server):
    postgres_server.create_database("bare")
    done = run_cli(
        "metrics",
        "--print",
        settings={"CRATESORT_DATABASE_URL": postgres_server.database_url("bare")},
    )
    postgres_server.drop_database("bare")
    assert (done.code, parsed(done.stdout)) == (3, {"cratesort_up": 0})
    assert "run `cratesort db upgrade` once" in done.stderr


@pytest.mark.parametrize("away", ["freeze", "stop"])
def test_a_database_outage_and_its_end_are_visible(fleet, serving, postgres_server, away):
    with serving(fleet) as page:
        assert page()["cratesort_up"] == 1
        # When it does not answer, or is not there at all
        getattr(postgres_server, away)()
        try:
            series = page()
        finally:
            (postgres_server.thaw if away == "freeze" else postgres_server.restart)()
        # Then that is what is said, and of Redis as before
        assert (series["cratesort_up"], series["cratesort_broker_up"]) == (0, 1)
        assert "cratesort_open_sounds" not in series
        # And when it answers again, so does the same process
        wait_until(lambda: page()["cratesort_up"] == 1, "the numbers are back")


@pytest.mark.parametrize("away", ["freeze", "stop"])
def test_metrics_of_the_database_are_served_without_redis(fleet, serving, redis_server, away):
    with serving(fleet) as page:
        assert page()["cratesort_broker_up"] == 1
        getattr(redis_server, away)()
        try:
            series = page()
        finally:
            (redis_server.thaw if away == "freeze" else redis_server.restart)()
        assert (series["cratesort_up"], series["cratesort_broker_up"]) == (1, 0)
        assert "cratesort_open_sounds" in series
        wait_until(lambda: page()["cratesort_broker_up"] == 1, "Redis is back")


# The server


def test_a_port_in_use_is_one_line_and_exit_code_2(run_cli):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_cli("metrics", "--port", str(port))
    assert (done.code, done.stdout) == (2, "")
    assert f"cannot listen at 127.0.0.1:{port}: Address already in use" in done.stderr
    assert "Traceback" not in done.stderr
