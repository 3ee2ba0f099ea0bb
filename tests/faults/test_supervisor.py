"""The supervisor is killed, outlives its worker, needs a folder; and exit codes of a worker."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.fleet import SUPERVISOR_ALONE, takes_no_messages
from tests.support.servers.lifecycle import free_port, is_alive, wait_until


def supervisor_of(worker):
    """The process that watches over a worker."""

    def watches():
        return [
            pid
            for pid in worker.processes()
            if b"workers.recovery.supervisor"
            in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        ]

    wait_until(lambda: len(watches()) == 1, "the worker has its supervisor", 60)
    return watches()[0]


def exit_code_of(worker):
    """How the worker's parent ended; waits for it, and leaves its id taken."""
    wait_until(lambda: not worker.processes(), "all processes of the worker have ended", 60)
    ended = os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    assert ended.si_code == os.CLD_EXITED
    return ended.si_status


# The supervisor dies


def test_a_killed_supervisor_is_replaced_by_one_that_requeues_a_dead_childs_batch(fleet):
    """Without the replacement, a child's death goes unseen from then on."""
    fleet.add("gate.wav", count=7)
    fleet.shut_gate()
    fleet.submit()
    with fleet.worker(settings=SUPERVISOR_ALONE) as worker:
        # Given a child in a batch, and a second supervisor, because the first was killed
        child = fleet.wait_for_the_gate()
        first = supervisor_of(worker)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: "another one is started" in worker.log(), "the parent sees it", 60)
        assert "the supervisor exited with code -9; another one is started" in worker.log()
        assert supervisor_of(worker) != first

        # When the child dies
        os.kill(child, signal.SIGKILL)

        # Then its batch-mates are done without the file it was reading
        wait_until(lambda: len(fleet.outcomes()) == 7, "its batch-mates have their rows", 60)
        assert [row["paths"] for row in fleet.batches() if row["suspect"]] == [["gate.wav"]]
        fleet.open_gate()
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost()


def test_a_child_that_died_without_a_supervisor_is_noticed_by_the_next(fleet):
    """Without crash markers in a folder, a new supervisor would not know of earlier crashes."""
    fleet.add("gate.wav", count=7)
    fleet.shut_gate()
    fleet.submit()
    with fleet.worker(settings=SUPERVISOR_ALONE) as worker:
        child = fleet.wait_for_the_gate()
        os.kill(supervisor_of(worker), signal.SIGKILL)
        os.kill(child, signal.SIGKILL)
        wait_until(lambda: len(fleet.outcomes()) == 7, "its batch-mates have their rows", 60)
        fleet.open_gate()
        fleet.wait_until_done()
        assert (
            f"its worker process {child} died; requeued, the file that was being read"
            in worker.log()
        )
    fleet.assert_nothing_is_lost()


def test_batches_are_done_while_the_supervisor_is_killed_repeatedly(fleet):
    """Without the replacement, the pulse stops and the worker takes nothing more."""
    fleet.add(count=20)
    fleet.submit()
    with fleet.worker(settings=SUPERVISOR_ALONE) as worker:
        for times in (1, 2):
            os.kill(supervisor_of(worker), signal.SIGKILL)
            wait_until(
                lambda times=times: worker.log().count("another one is started") == times,
                "another supervisor is started",
                60,
            )
        fleet.wait_until_done()
        supervisor_of(worker)
    fleet.assert_nothing_is_lost()
    assert fleet.attempts() == 0


def test_while_the_supervisor_is_frozen_nothing_is_taken_and_nothing_is_lost(fleet):
    """Without the pulse's age, the worker trusts a supervisor that does not look."""
    fleet.add(count=8)
    with fleet.worker(settings=SUPERVISOR_ALONE) as worker:
        # Given a supervisor that cannot report whether the database answers
        supervisor = supervisor_of(worker)
        threads = Path(f"/proc/{supervisor}/task")
        wait_until(lambda: len(list(threads.iterdir())) > 1, "the supervisor looks", 60)
        os.kill(supervisor, signal.SIGSTOP)
        wait_until(lambda: takes_no_messages(worker), "the worker takes no messages", 90)
        fleet.submit()
        # Then doctor does not report it as ready, and the ledger shows that nothing is done
        done = fleet.cli("doctor")
        assert done.code == 3
        assert "FAIL  workers    no worker takes work" in done.stdout
        assert "1 worker takes no messages" in done.stdout
        stuck = {"CRATESORT_STUCK_SECONDS": "0.5"}
        wait_until(lambda: fleet.cli("health", **stuck).code == 3, "work is stuck", 60)
        # And all is done when it wakes, if the parent has not replaced it by then
        with suppress(ProcessLookupError):
            os.kill(supervisor, signal.SIGCONT)
        fleet.wait_until_done()
        assert "messages are taken again" in worker.log()
    fleet.assert_nothing_is_lost()
    assert fleet.attempts() == 0


# The worker ends


@pytest.mark.parametrize(
    ("name", "code"), [("SIGTERM", 0), ("SIGINT", 130), ("SIGQUIT", 130)], ids=lambda it: str(it)
)
def test_the_supervisor_ends_with_its_worker(fleet, name, code):
    """Without its own end, a supervisor stays; without ours, Celery exits with 0 on Ctrl-C."""
    with fleet.worker(settings=SUPERVISOR_ALONE) as worker:
        supervisor = supervisor_of(worker)
        # A child that is being born does not ignore Ctrl-C yet
        wait_until(lambda: "(onnx engine)" in worker.log(), "the child is there", 60)
        # As a terminal or a service manager sends it: to the whole group
        os.killpg(worker.pid, signal.Signals[name])
        assert exit_code_of(worker) == code
        assert not is_alive(supervisor)
        assert "Traceback" not in worker.log()


def test_sigterm_during_a_batch_is_exit_code_0(fleet):
    """Without our exit code, a service manager takes a good stop for a crash."""
    fleet.add("gate.wav", count=3)
    fleet.shut_gate()
    fleet.submit()
    with fleet.worker(settings=SUPERVISOR_ALONE) as worker:
        fleet.wait_for_the_gate()
        os.kill(worker.pid, signal.SIGTERM)
        wait_until(lambda: "after the running batches" in worker.log(), "it was understood", 60)
        fleet.open_gate()
        assert exit_code_of(worker) == 0
    fleet.assert_nothing_is_lost()


def test_a_second_ctrl_c_is_exit_code_130(fleet):
    """Without the second Ctrl-C's kill, the worker waits for a child that never ends."""
    fleet.add("stuck.wav")
    fleet.submit()
    with fleet.worker(settings=SUPERVISOR_ALONE) as worker:
        wait_until(lambda: fleet.working_pid() is not None, "it has claimed the batch", 60)
        os.killpg(worker.pid, signal.SIGINT)
        wait_until(lambda: "Ctrl-C again" in worker.log(), "the first was understood", 60)
        os.killpg(worker.pid, signal.SIGINT)
        assert exit_code_of(worker) == 130


# The supervisor's folder


@pytest.fixture
def bad_folder(request, tmp_path):
    """A data folder that cannot be written, in one of two ways."""
    folder = tmp_path / "data"
    if request.param == "read-only":
        folder.mkdir(mode=0o555)
    else:
        folder.write_text("a file is in its place")
    return folder


@pytest.mark.parametrize("bad_folder", ["read-only", "a file"], indirect=True)
def test_a_worker_whose_data_folder_cannot_be_written_ends_with_a_one_line_error(
    run_cli, redis_url, sqlite_url, bad_folder
):
    """Without the check, each child fails at its first batch, with a traceback."""
    settings = {
        "CRATESORT_BROKER_URL": redis_url,
        "CRATESORT_DATABASE_URL": sqlite_url,
        "CRATESORT_DATA_FOLDER": str(bad_folder),
    }
    done = run_cli("worker", settings=settings, obey_permissions=True)
    assert (done.code, done.stdout) == (2, "")
    assert "cannot write to the data folder" in done.stderr
    assert str(bad_folder) in done.stderr
    assert "CRATESORT_DATA_FOLDER" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_that_error_does_not_depend_on_redis(run_cli, sqlite_url, tmp_path):
    """Without the check before Redis, the fault is hidden until Redis answers."""
    (tmp_path / "data").write_text("a file is in its place")
    settings = {
        "CRATESORT_BROKER_URL": f"redis://127.0.0.1:{free_port()}/0",
        "CRATESORT_DATABASE_URL": sqlite_url,
        "CRATESORT_DATA_FOLDER": str(tmp_path / "data"),
    }
    assert run_cli("worker", settings=settings).code == 2
