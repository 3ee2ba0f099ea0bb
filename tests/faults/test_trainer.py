"""The trainer: a worker on the queue ``training``, woken by messages that may come twice."""

import os
import signal
import time
from importlib.util import find_spec

import pytest
import redis
from pydantic import SecretStr
from sqlalchemy import select, update

from db.dialects import now
from db.engine import reading
from db.registry import bundles, training_runs
from db.registry.training_runs import HEARTBEAT_STOPPED
from db.states import RunState, RunVerdict
from db.tables import training_runs as table
from tests.support.places import REPOSITORY
from tests.support.servers.lifecycle import wait_until
from workers.celery_ext.app import build_app
from workers.settings import Settings

# Not importorskip: a trainer refuses to start without TensorFlow, and these tests never load it.
pytestmark = pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs [training]")


class Trainer:
    """A fleet's trainer, whose work can be held at any stage."""

    def __init__(self, fleet, folder):
        self._fleet, self._folder = fleet, folder
        self.settings = {
            # One moment a year: all messages of a test are about the same one.
            "CRATESORT_TRAINING_SCHEDULE": "0 0 1 1 *",
        }

    def worker(self, *arguments, with_labels=True, **changed):
        held = {"TEST_TRAINING": str(self._folder)} if with_labels else {}
        return self._fleet.worker(
            *("--queues", "training"),
            *arguments,
            settings={**self.settings, **held, **changed},
        )

    def stay_at(self, stage):
        (self._folder / f"stay-{stage}").touch()

    def go_on(self, stage):
        (self._folder / f"stay-{stage}").unlink()

    def wait_for(self, stage):
        wait_until((self._folder / stage).exists, f"the run is at {stage}", 60)

    def wake(self, times=1):
        """Send what beat sends."""
        with build_app(Settings(broker_url=SecretStr(self._fleet.broker_url))) as app:
            options = dict(app.conf.beat_schedule["retrain"]["options"])
            for _ in range(times):
                app.send_task("tasks.retrain", **options)

    def runs(self):
        with self._fleet.database() as engine, reading(engine) as connection:
            return training_runs.recent(connection, limit=100)

    def wait_until_closed(self):
        def closed():
            return bool(self.runs()) and self.runs()[0].state != RunState.RUNNING

        wait_until(closed, "the run is closed", 60)
        return self.runs()[0]

    def end_the_lease(self):
        with self._fleet.database() as engine, engine.begin() as connection:
            connection.execute(update(table).values(lease_expires_at=now(-1)))

    def champion(self):
        with self._fleet.database() as engine, reading(engine) as connection:
            return bundles.champion_version(connection)


@pytest.fixture
def trainer(fleet, tmp_path):
    return Trainer(fleet, tmp_path)


def test_messages_of_two_beats_to_two_trainers_start_one_run(trainer, fleet):
    """Without the slot in the run's row, each message starts a run of hours."""
    # Given two trainers, and a run that one of them has begun
    trainer.stay_at("computing")
    with trainer.worker() as one, trainer.worker() as other:
        trainer.wake(times=3)
        trainer.wait_for("computing")

        # When the other gets a message for the same time
        def refused():
            return [log.count("training skipped") for log in (one.log(), other.log())]

        wait_until(lambda: sum(refused()) > 0, "the other skips it", 60)
        trainer.go_on("computing")
        assert trainer.wait_until_closed().verdict == RunVerdict.PROMOTED
        # And all get a message again when it is over
        trainer.wake(times=2)
        wait_until(lambda: sum(refused()) == 4, "four of five messages were copies", 60)

    # Then there was one run, by the schedule, and its model serves
    (run,) = trainer.runs()
    assert run.trigger == "schedule"
    assert run.slot.endswith("-01-01T00:00+00:00")
    assert trainer.champion() == run.model_version


def test_with_too_few_labels_training_is_skipped_and_that_is_logged(trainer):
    """Without the threshold, each night trains on nothing new."""
    with trainer.worker(with_labels=False) as worker:
        trainer.wake()
        wait_until(lambda: "training skipped: 0 new labels, fewer than 200" in worker.log(), "why")
        # A trainer has no use for the model that serves
        assert "(onnx engine)" not in worker.log()
    assert trainer.runs() == []


def test_a_run_may_take_longer_than_a_batch_and_is_acknowledged_early(trainer, fleet):
    """Without an early acknowledgement and its own limit, the run is killed and delivered again."""
    trainer.stay_at("computing")
    # Given a fleet whose batches have one second
    with trainer.worker(CRATESORT_TIME_LIMIT_SECONDS="1"):
        trainer.wake()
        trainer.wait_for("computing")
        with redis.Redis.from_url(fleet.broker_url) as client:
            assert (client.hlen("unacked"), client.llen("training")) == (0, 0)
        # When a run takes several times as long, past the pool's limit and the supervisor's grace
        time.sleep(4)
        trainer.go_on("computing")
        # Then it is brought to its end
        assert trainer.wait_until_closed().state == RunState.DONE


def test_a_classifying_worker_does_not_take_training_messages(trainer, fleet):
    """Without a queue of its own, a training run takes a child from the batches."""
    trainer.wake()
    fleet.add(count=5)
    fleet.submit()
    with fleet.worker():
        fleet.wait_until_done()
        with redis.Redis.from_url(fleet.broker_url) as client:
            assert client.llen("training") == 1


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_trainer_that_is_stopped_interrupts_its_run(trainer, name):
    """Without the interruption, the worker waits for the run's end, an hour here."""
    trainer.stay_at("computing")
    # A batch would have an hour: only an interrupted run lets the worker end within this test
    with trainer.worker(CRATESORT_TIME_LIMIT_SECONDS="3600") as worker:
        trainer.wake()
        trainer.wait_for("computing")
        os.kill(worker.pid, name)
        wait_until(lambda: not worker.processes(), "all its processes have ended", 60)
    (run,) = trainer.runs()
    assert (run.state, run.reason) == (
        RunState.FAILED,
        "interrupted: the process received a stop signal",
    )
    assert trainer.champion() is None


def test_a_killed_training_child_is_detected_by_its_lease_and_leaves_nothing(trainer, fleet):
    """Without the sweep, the run would count as running forever."""
    trainer.stay_at("writing")
    with trainer.worker() as worker:
        trainer.wake()
        trainer.wait_for("writing")
        os.kill(int(trainer.runs()[0].holder.split(":")[-1]), signal.SIGKILL)
        trainer.end_the_lease()
        # Then a sweep closes it, and the message is not delivered again
        assert trainer.wait_until_closed().reason == HEARTBEAT_STOPPED
        assert f"training run 1 is closed as failed: {HEARTBEAT_STOPPED}" in worker.log()
    with fleet.database() as engine, reading(engine) as connection:
        assert len(connection.execute(select(table.c.id)).all()) == 1
    assert trainer.champion() is None


def test_any_worker_detects_a_trainer_killed_with_all_its_processes(trainer):
    """Without the sweep, the run counts as running until a trainer starts."""
    trainer.stay_at("computing")
    with trainer.worker() as worker:
        trainer.wake()
        trainer.wait_for("computing")
        os.killpg(worker.pid, signal.SIGKILL)
    trainer.end_the_lease()
    with trainer._fleet.worker():
        assert trainer.wait_until_closed().reason == HEARTBEAT_STOPPED


def test_a_run_over_its_time_limit_fails_with_that_reason(trainer):
    """Without the limit, a run that hangs would occupy the trainer forever."""
    trainer.stay_at("beginning")
    with trainer.worker(CRATESORT_TRAINING_TIME_LIMIT_SECONDS="1") as worker:
        trainer.wake()
        trainer.wait_for("beginning")
        time.sleep(1.5)
        trainer.go_on("beginning")
        run = trainer.wait_until_closed()
        assert "CRATESORT_TRAINING_TIME_LIMIT_SECONDS" in run.reason
        wait_until(lambda: "training failed: training run 1 stops" in worker.log(), "it is logged")
        assert "Traceback" not in worker.log()


def test_without_the_training_extra_a_trainer_does_not_start(fleet, run_cli, tmp_path):
    """Without the check, the trainer fails at its first run, in the night."""
    # Given an installation that lacks scikit-learn
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "sitecustomize.py").write_text(
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'sklearn' else find(name, *more)\n"
    )
    path = f"{tmp_path / 'hidden'}:{REPOSITORY}"
    # When a trainer is started
    done = run_cli(
        *("worker", "--queues", "training"),
        settings={**fleet.settings, "PYTHONPATH": path},
        process=True,
    )
    # Then the error names the command that helps
    assert done.code == 2
    assert "(sklearn)" in done.stderr
    assert "pip install '.[training]'" in done.stderr
    assert "Traceback" not in done.stderr
