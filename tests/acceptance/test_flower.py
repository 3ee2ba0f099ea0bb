"""``cratesort flower``: for who may look, for looking only, and not forgetful."""

import base64
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
import redis

from tests.support import sounds
from tests.support.command_line import clean_environment
from tests.support.servers.lifecycle import free_port, wait_until

LOGIN = "me:unspeakable"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "sounds"
    folder.mkdir()
    for number in range(3):
        (folder / f"kick {number}.wav").write_bytes(sounds.encoded())
    return folder


@pytest.fixture
def fleet(fleet):
    """A fleet that somebody may look at."""
    return {**fleet, "CRATESORT_FLOWER_LOGIN": LOGIN}


class Flower:
    """A running ``cratesort flower``."""

    def __init__(self, folder, settings, *arguments):
        self.port = free_port()
        self.log = folder / f"flower-{self.port}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli", "flower", "--port", str(self.port), *arguments],
                cwd=folder,
                env=clean_environment(folder, settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(lambda: self.status("/healthcheck") == 200, "Flower answers", 60)

    def _open(self, path, login, data):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data)
        if login:
            token = base64.b64encode(login.encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return opener.open(request, timeout=10)

    def status(self, path, login=None, data=None):
        try:
            with self._open(path, login, data) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def tasks(self):
        with self._open("/api/tasks", LOGIN, None) as answer:
            return json.load(answer)

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def flower(tmp_path, fleet):
    started = []

    def start(*arguments):
        started.append(Flower(tmp_path, fleet, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


def test_flower_does_not_start_without_a_login(run_cli, fleet):
    done = run_cli("flower", settings={**fleet, "CRATESORT_FLOWER_LOGIN": ""})
    assert done.code == 2
    assert "set CRATESORT_FLOWER_LOGIN to user:password" in done.stderr


@pytest.mark.parametrize("login", ["me", "me:", ":secret"])
def test_a_login_without_user_or_password_is_refused(run_cli, fleet, login):
    done = run_cli("flower", settings={**fleet, "CRATESORT_FLOWER_LOGIN": login})
    assert (done.code, done.stderr) == (
        2,
        "cratesort: CRATESORT_FLOWER_LOGIN (set in the environment): expected user:password\n",
    )


def test_flower_is_read_only_and_requires_a_login(flower):
    one = flower()
    for path in ("/", "/workers", "/tasks", "/api/workers", "/api/tasks"):
        assert one.status(path) == 401
        assert one.status(path, "me:wrong") == 401
        assert one.status(path, LOGIN) == 200
    for path in (
        "worker/shutdown/any",
        "worker/pool/restart/any",
        "task/revoke/any",
        "task/async-apply/tasks.sweep",
        "task/send-task/tasks.sweep",
    ):
        assert one.status(f"/api/{path}", LOGIN, b"{}") == 403
    assert one.end(signal.SIGTERM) == 0


def test_the_task_history_shows_batches_and_survives_a_restart(
    flower, fleet, worker_process, run_cli, folder, tmp_path
):
    # Given a batch that was done while Flower ran, and what is no event
    (folder / "nothing.wav").touch()
    history = tmp_path / "history.db"
    first = flower("--state-file", str(history))
    with redis.Redis.from_url(fleet["CRATESORT_BROKER_URL"]) as client:
        for entry in (b"no JSON", b"[" * 100_000, b"{}"):
            wait_until(lambda entry=entry: client.publish("/0.celeryev/x", entry), "it listens", 30)
    with worker_process("--concurrency", "1", settings=fleet):
        assert run_cli("ingest", folder, "--wait", settings=fleet).code == 1
        wait_until(lambda: first.tasks(), "Flower has heard of it", 30)
        (task,) = [one for one in first.tasks().values() if one["name"] == "tasks.classify"]
        assert task["kwargs"] == "batch 1 of ingest 1: 4 sounds from sounds/kick 0.wav"
        wait_until(lambda: "SUCCESS" in str(first.tasks()), "Flower has heard of its end", 30)
        assert first.tasks()[task["uuid"]]["result"] == "3 classified, 1 failed: empty_file 1"
    # When it is killed, some time after that, and another one started
    heard = time.time()

    def is_saved():
        return history.exists() and history.stat().st_mtime > heard

    wait_until(is_saved, "it has saved its history", 60)
    first.end(signal.SIGKILL)
    # Then that knows the task
    assert task["uuid"] in flower("--state-file", str(history)).tasks()


def test_a_flower_config_in_the_current_folder_is_not_run(flower, tmp_path):
    (tmp_path / "flowerconfig.py").write_text("raise SystemExit('it was run')\n")
    assert flower().status("/healthcheck") == 200


def test_the_login_is_not_in_the_process_list(flower):
    one = flower()
    with open(f"/proc/{one.process.pid}/cmdline", "rb") as file:
        assert b"unspeakable" not in file.read()
    assert "unspeakable" not in one.log.read_text()
