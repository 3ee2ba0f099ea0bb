"""``cratesort intake`` as an operator runs it, and what ``status`` says of the inbox.

Not here: an intake that is killed, or whose servers are away (`tests.faults.test_intake_killed`).
"""

import json
import signal

import pytest
import redis

from tests.support import sounds
from tests.support.servers.lifecycle import free_port, wait_until


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "packs"
    (folder / "Acme").mkdir(parents=True)
    for name in ("kick 01.wav", "pad.wav", "pad\x1b[2J.wav"):
        (folder / "Acme" / name).write_bytes(sounds.encoded())
    return folder


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def status(run_cli, fleet):
    """What ``cratesort status --json`` says."""

    def read():
        done = run_cli("status", "--json", settings=fleet)
        assert done.code == 0, done.stderr
        return json.loads(done.stdout)

    return read


def emptied(client):
    """Return when the inbox is empty and nothing of it is in hand."""
    wait_until(lambda: not client.keys("cratesort:inbox") and not taken(client), "it is emptied")


def taken(client):
    return client.keys("cratesort:inbox:taken:*")


def test_pushed_paths_are_classified(
    fleet, client, folder, intake_process, worker_process, read_results
):
    with intake_process(fleet), worker_process(settings=fleet):
        client.lpush("cratesort:inbox", str(folder / "Acme" / "kick 01.wav"))
        entry = {"root": "packs", "path": "Acme/pad.wav", "vendor": "Ac Me", "label": "synth"}
        client.lpush("cratesort:inbox", json.dumps(entry))
        wait_until(lambda: len(read_results(settings=fleet)) == 2, "both have their rows", 90)
    kick, pad = sorted(read_results(settings=fleet), key=lambda row: row["path"])
    assert (kick["path"], kick["category"], kick["label"]) == ("Acme/kick 01.wav", "drum", None)
    assert (pad["path"], pad["label"]) == ("Acme/pad.wav", "synth")


def test_status_counts_waiting_and_dead_entries(fleet, client, status, run_cli, intake_process):
    client.lpush("cratesort:inbox", "nonsense", "{")
    assert status()["inbox"] == {"waiting": 2, "taken": 0, "dead": 0, "intakes": 0, "fault": None}
    unserved = "Inbox     2 waiting, 0 taken; no intake is running"
    assert unserved in run_cli("status", settings=fleet).stdout
    with intake_process(fleet):
        emptied(client)
        assert status()["inbox"] == {
            "waiting": 0,
            "taken": 0,
            "dead": 2,
            "intakes": 1,
            "fault": None,
        }
    assert (
        "Inbox     0 waiting, 0 taken, 2 in the dead list"
        in run_cli("status", settings=fleet).stdout
    )


def test_the_inbox_ingest_is_shown_as_done_or_open(fleet, client, folder, status, intake_process):
    client.lpush("cratesort:inbox", str(folder / "Acme" / "pad.wav"))
    with intake_process(fleet):
        emptied(client)
        (ingest,) = status()["ingests"]
    assert (ingest["source"], ingest["found"]) == ("cratesort:inbox", 1)
    assert (ingest["submitted"], ingest["finished"]) == (True, False)


def test_status_works_without_a_broker(run_cli, sqlite_url):
    done = run_cli("status", "--json", settings={"CRATESORT_DATABASE_URL": sqlite_url})
    assert json.loads(done.stdout)["inbox"] is None


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["words", "json"])
def test_status_works_without_a_reachable_redis(run_cli, fleet, options):
    away = fleet | {"CRATESORT_BROKER_URL": f"redis://:unspeakable@127.0.0.1:{free_port()}/0"}
    done = run_cli("status", *options, settings=away)
    assert done.code == 0
    if options:
        inbox = json.loads(done.stdout)["inbox"]
        fault = inbox.pop("fault")
        assert inbox == {"waiting": None, "taken": None, "dead": None, "intakes": None}
        assert fault.startswith("Redis cannot be used: Error 111 connecting to 127.0.0.1:")
    else:
        assert "Inbox     Redis cannot be used: Error 111 connecting to" in done.stdout
    assert "unspeakable" not in done.stdout + done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_an_intake_stops_cleanly(fleet, client, intake_process, number, code):
    with intake_process(fleet) as intake:
        wait_until(lambda: client.exists("cratesort:inbox:intakes"), "it serves")
        assert intake.stop(number) == code
        assert "Traceback" not in intake.log()
    assert client.keys("cratesort:*") == []


def test_control_characters_of_a_name_are_escaped_in_the_log(fleet, client, folder, intake_process):
    client.lpush("cratesort:inbox", "elsewhere/\x1b[2J.wav", "/\x1b[2J\n.wav")
    with intake_process(fleet) as intake:
        wait_until(lambda: "invalid entries of the inbox" in intake.log(), "it has refused them")
        assert "\x1b" not in intake.log()


def test_without_a_broker_the_intake_names_the_setting(run_cli):
    done = run_cli("intake")
    assert done.code == 2
    assert "an intake needs Redis: set CRATESORT_BROKER_URL" in done.stderr


def test_without_library_roots_the_intake_names_the_setting(run_cli, fleet):
    done = run_cli("intake", settings=fleet | {"CRATESORT_LIBRARY_ROOTS": ""})
    assert done.code == 2
    assert "CRATESORT_LIBRARY_ROOTS" in done.stderr


def test_a_wrong_password_is_exit_code_2(run_cli, fleet, redis_server):
    url = redis_server.url.replace(redis_server.password, "wrong")
    done = run_cli("intake", settings=fleet | {"CRATESORT_BROKER_URL": url})
    assert done.code == 2
    assert "Redis rejects the user or password of CRATESORT_BROKER_URL" in done.stderr
