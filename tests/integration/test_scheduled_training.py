"""From labels to a verdict: the trainer's task, and the same through the queue.

What a trainer does with its messages is `tests/faults/test_trainer.py`'s subject, whose runs fit
nothing.
"""

import csv
import logging

import pytest
from pydantic import SecretStr

from classifier.headers.reader import AudioHeader
from db.engine import reading
from db.registry import training_runs
from db.results import training_rows
from db.states import RunState
from tests.support.databases import connected
from tests.support.labelled_rows import add_labelled
from tests.support.servers.lifecycle import wait_until
from workers import child_process
from workers.celery_ext.app import build_app
from workers.settings import Settings


def latest_run(engine):
    with reading(engine) as connection:
        return training_runs.latest(connection)


def assert_it_learned_every_label(engine, run):
    """A run that is done has a verdict, a model and a report, and has read every label."""
    assert run.state == RunState.DONE, run.reason
    assert run.verdict is not None
    assert run.reason
    assert run.model_version
    with reading(engine) as connection:
        assert run.last_label_id == training_rows.last_label_id(connection)
        assert training_runs.report_of(connection, run.model_version) is not None


@pytest.mark.tensorflow
def test_the_task_trains_on_the_labels_once_and_returns_its_verdict(
    sqlite_url, small_fits, monkeypatch, caplog
):
    from tasks import retrain as scheduled

    caplog.set_level(logging.INFO, "tasks.retrain")
    header = AudioHeader(88_244, 1.0, 44_100, 1, 44_100, "PCM_16")
    settings = Settings(
        database_url=SecretStr(sqlite_url), training_new_labels=40, training_schedule="0 0 1 1 *"
    )
    with connected(sqlite_url) as engine:
        # Given as many new labels as it takes
        add_labelled(
            engine,
            [
                (f"vendor {v}", f"pack {p}", f"{v}_{p}_{word}.wav", header, category)
                for v in range(4)
                for p in range(5)
                for word, category in (("kick", "drum"), ("vox", "vocal"))
            ],
        )
        monkeypatch.setattr(scheduled, "_settings", settings)
        monkeypatch.setattr(child_process, "database", lambda: engine)
        # When the task runs
        scheduled.retrain()
        # Then its run has learned them
        run = latest_run(engine)
        assert_it_learned_every_label(engine, run)
        # And when it runs again, there is nothing new to learn
        scheduled.retrain()
        assert "training skipped: 0 new labels, fewer than 40" in caplog.text
        assert latest_run(engine) == run


@pytest.fixture
def labelled(run_cli, fleet, library, tmp_path):
    """The example library classified, and each of its sounds labelled."""
    assert run_cli("ingest", library, settings={**fleet, "CRATESORT_BROKER_URL": ""}).code == 0
    table = tmp_path / "labels.csv"
    with (library / "MANIFEST.csv").open(newline="") as manifest, table.open("w") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "category"])
        for row in csv.DictReader(manifest):
            rows.writerow([library / row["path"], row["category"]])
    done = run_cli("labels", "import", table, settings=fleet)
    assert done.code == 0, done.stderr
    return fleet


@pytest.mark.release
@pytest.mark.timeout(600)
def test_a_scheduled_run_trains_on_the_labels_once_and_logs_its_verdict(labelled, worker_process):
    settings = {
        **labelled,
        "CRATESORT_TRAINING_NEW_LABELS": "79",
        "CRATESORT_TRAINING_SCHEDULE": "0 0 1 1 *",
    }
    broker = SecretStr(labelled["CRATESORT_BROKER_URL"])

    def wake():
        with build_app(Settings(broker_url=broker)) as app:
            app.send_task("tasks.retrain")

    with (
        connected(labelled["CRATESORT_DATABASE_URL"]) as engine,
        worker_process("--queues", "training", "--concurrency", "1", settings=settings) as worker,
    ):
        # Given as many new labels as it takes, when the trainer is woken
        wake()
        wait_until(lambda: latest_run(engine) is not None, "a run begins", 60)
        wait_until(lambda: latest_run(engine).state != RunState.RUNNING, "the run ends", 500)

        # Then the run has a verdict, a model, a report, and has read every label
        run = latest_run(engine)
        assert_it_learned_every_label(engine, run)

        # And woken again, there is nothing new to learn
        wake()
        wait_until(lambda: "training skipped: 0 new labels" in worker.log(), "the log says why", 60)
        assert latest_run(engine) == run
