"""``cratesort health``, and what ``doctor`` reports of the queue: is waiting work claimed?

Not here: a worker that is frozen (`tests.faults`).
"""

import json

import pytest
import redis
from sqlalchemy import update

from db.tables import batches
from tests.support.databases import connected
from tests.support.servers.lifecycle import free_port

#: Whatever waits when a command is typed has waited for longer.
AT_ONCE = {"CRATESORT_STUCK_SECONDS": "0.001"}


@pytest.fixture
def waiting(run_cli, folder):
    """A ledger in which one batch waits and nobody works."""
    assert run_cli("ingest", folder, "--no-wait").code == 0


def queue_line(doctor):
    """The finding on the queue of a ``doctor --json``."""
    (check,) = (c for c in json.loads(doctor.stdout)["checks"] if c["name"] == "queue")
    return check


# cratesort health


def test_an_empty_ledger_is_healthy(run_cli):
    assert run_cli("db", "upgrade").code == 0
    done = run_cli("health", settings=AT_ONCE)
    assert (done.code, done.stdout, done.stderr) == (0, "healthy: no work is waiting\n", "")


def test_finished_work_is_healthy(run_cli, folder):
    run_cli("ingest", folder)
    assert run_cli("health", settings=AT_ONCE).code == 0


def test_work_without_workers_is_exit_code_3_with_a_message(run_cli, waiting):
    done = run_cli("health", settings=AT_ONCE)
    assert done.code == 3
    assert "unhealthy: 1 batch is waiting, none claimed for" in done.stdout


@pytest.fixture
def rooted(folder):
    """The settings of one process that knows the folder as a library root."""
    return {"CRATESORT_LIBRARY_ROOTS": f"main={folder}"}


def test_an_empty_root_with_known_sounds_is_unhealthy(run_cli, rooted, folder):
    run_cli("ingest", folder, settings=rooted)
    assert run_cli("health", settings=rooted).code == 0
    (folder / "kick.wav").unlink()
    done = run_cli("health", settings=rooted)
    assert done.code == 3
    assert done.stdout == f"unhealthy: the library root 'main': {folder} is empty; is it mounted?\n"
    done = run_cli("doctor", settings=rooted)
    assert done.code == 3
    assert f"FAIL  root       main: {folder} is empty" in done.stdout
    # One that is not there is named by doctor; a host that classifies nothing needs none
    folder.rmdir()
    assert run_cli("health", settings=rooted).code == 0
    assert run_cli("doctor", settings=rooted).code == 2


def test_repeatedly_requeued_work_is_unhealthy_with_its_reason(run_cli, rooted, folder, tmp_path):
    run_cli("ingest", folder, "--no-wait", settings=rooted)
    url = f"sqlite:///{tmp_path}/.local/share/cratesort/cratesort.db"
    with connected(url) as engine, engine.begin() as connection:
        connection.execute(update(batches).values(setbacks=3, reason="not mounted"))
    done = run_cli("health", settings=rooted)
    assert done.code == 3
    returned = (
        "1 batch of the library root 'main' was returned to the queue, up to 3 times in a row"
    )
    assert done.stdout == f"unhealthy: {returned}: not mounted\n"
    assert (
        "Returned  1 batch of library root 'main', up to 3 times in a row"
        in run_cli("status", settings=rooted).stdout
    )


def test_work_waiting_for_a_moment_is_healthy(run_cli, waiting):
    done = run_cli("health")
    assert done.code == 0, done.stdout
    assert "healthy: 1 batch is waiting" in done.stdout


def test_requeued_work_counts_as_waiting(run_cli, folder):
    (folder / "empty.wav").touch()
    run_cli("ingest", folder)
    assert run_cli("health", settings=AT_ONCE).code == 0
    run_cli("retry", "--failed", "--no-wait")
    assert run_cli("health", settings=AT_ONCE).code == 3


@pytest.mark.parametrize(
    ("settings", "healthy", "code"), [({}, True, 0), (AT_ONCE, False, 3)], ids=["waits", "stuck"]
)
def test_json_has_the_same_result_and_exit_code(run_cli, waiting, settings, healthy, code):
    done = run_cli("health", "--json", settings=settings)
    report = json.loads(done.stdout)
    assert (done.code, report["healthy"], report["waiting_batches"]) == (code, healthy, 1)
    assert list(report) == ["healthy", "waiting_batches", "unclaimed_seconds", "fault"]


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["words", "json"])
def test_an_unreachable_database_is_exit_code_3(run_cli, options):
    url = f"postgresql://me:unspeakable@127.0.0.1:{free_port()}/cratesort"
    done = run_cli("health", *options, settings={"CRATESORT_DATABASE_URL": url})
    assert (done.code, done.stdout) == (3, "")
    assert "the database cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
    assert "unspeakable" not in done.stderr


@pytest.mark.parametrize("seconds", ["0", "-1", "soon"])
def test_an_invalid_duration_is_exit_code_2(run_cli, seconds):
    done = run_cli("health", settings={"CRATESORT_STUCK_SECONDS": seconds})
    assert done.code == 2
    assert "CRATESORT_STUCK_SECONDS" in done.stderr


def test_health_does_not_need_redis(run_cli, fleet):
    away = {"CRATESORT_BROKER_URL": f"redis://127.0.0.1:{free_port()}/0"}
    assert run_cli("health", settings=fleet | away).code == 0


# The queue's line of cratesort doctor


def test_doctor_reports_that_no_work_waits(run_cli, folder):
    run_cli("ingest", folder)
    check = queue_line(run_cli("doctor", "--json"))
    assert (check["finding"], check["detail"]) == ("ok", "no work is waiting")


def test_in_process_doctor_reports_unfinished_work_of_an_earlier_run(run_cli, waiting):
    # However long it waits: without workers nobody is to blame for it
    done = run_cli("doctor", "--json", settings=AT_ONCE)
    check = queue_line(done)
    assert done.code == 0
    assert check["finding"] == "warning"
    assert "1 batch of an earlier run is waiting" in check["detail"]
    assert "cratesort ingest" in check["advice"]


def test_doctor_reports_work_without_workers(run_cli, fleet, folder):
    run_cli("ingest", folder, "--no-wait", settings=fleet)
    done = run_cli("doctor", settings=fleet | AT_ONCE)
    assert done.code == 3
    assert "FAIL  queue      1 batch of the library root" in done.stdout
    assert "-> check that workers are running" in done.stdout
    # Who looks in words looks at the same as who looks in JSON; and no worker is no better a
    # moment earlier
    for settings, name in ((fleet | AT_ONCE, "queue"), (fleet, "workers")):
        done = run_cli("doctor", "--json", settings=settings)
        checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
        assert (done.code, checks[name]["finding"]) == (3, "failed")
    assert checks["workers"]["detail"] == (
        "no worker takes work\n"
        f"work is waiting for a worker that has the library root '{folder.name}'"
    )


def test_doctor_reports_sounds_without_a_root_in_a_fleet(run_cli, fleet, folder, sqlite_url):
    # Given a database of one machine, with a failed sound that is to be tried again
    one_machine = {"CRATESORT_DATABASE_URL": sqlite_url}
    (folder / "empty.wav").touch()
    run_cli("ingest", folder, settings=one_machine)
    run_cli("retry", "--failed", "--no-wait", settings=one_machine)
    # When a fleet uses it, then its batch is found to have no workers
    done = run_cli("health", settings=fleet)
    assert done.code == 3
    assert done.stdout.startswith(
        "unhealthy: 1 batch has absolute paths, and such paths are not read"
    )
    done = run_cli("doctor", settings=fleet)
    assert done.code == 2
    assert "2 sounds have absolute paths, and such paths are not read" in done.stdout
    assert "cratesort db copy FROM TO --root" in done.stdout
    # And a retry does not wait for it without end
    done = run_cli("retry", "--failed", "--wait", settings=fleet)
    assert "no failed sounds" in done.stdout
    assert "warning: 2 sounds have absolute paths" in done.stderr


# cratesort health --inbox


def test_an_inbox_with_an_intake_is_healthy(run_cli, intake_process, fleet):
    with intake_process(settings=fleet):
        done = run_cli("health", "--inbox", settings=fleet)
    assert (done.code, done.stdout) == (0, "healthy: 1 intake is running, 0 entries are waiting\n")


def test_an_inbox_without_an_intake_is_unhealthy(run_cli, fleet):
    done = run_cli("health", "--inbox", "--json", settings=fleet)
    assert done.code == 3
    assert json.loads(done.stdout) == {"healthy": False, "intakes": 0}


def test_an_inbox_in_an_unreachable_redis_is_unhealthy(run_cli, fleet):
    away = {**fleet, "CRATESORT_BROKER_URL": f"redis://127.0.0.1:{free_port()}/0"}
    done = run_cli("health", "--inbox", settings=away)
    assert done.code == 3
    assert done.stdout.startswith("unhealthy: Redis cannot be used: Error 111 connecting to")


def test_an_inbox_that_is_no_list_is_named_with_what_it_is(run_cli, fleet):
    with redis.Redis.from_url(fleet["CRATESORT_BROKER_URL"]) as client:
        client.set("cratesort:inbox", "/mnt/packs/kick.wav")
    fault = "the key cratesort:inbox in Redis holds a string, expected a list: rename or delete it"
    done = run_cli("health", "--inbox", settings=fleet)
    assert (done.code, done.stdout) == (3, f"unhealthy: {fault}\n")
    done = run_cli("status", settings=fleet)
    assert f"Inbox     {fault}\n" in done.stdout
    report = json.loads(run_cli("status", "--json", settings=fleet).stdout)
    assert report["inbox"]["fault"] == fault


def test_without_a_broker_there_is_no_inbox(run_cli):
    assert run_cli("health", "--inbox").code == 2
