"""From labels to a verdict through the queue: the whole trainer, with the whole training."""

import csv

import pytest
from pydantic import SecretStr

pytest.importorskip("tensorflow")

from db import labels, training_runs
from db.engine import reading
from db.tables import RunState
from tests.support.databases import connected
from tests.support.servers.lifecycle import wait_until
from workers.app import build_app
from workers.settings import Settings


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


@pytest.mark.timeout(600)
def test_a_scheduled_run_learns_from_the_labels_once_and_states_its_verdict(
    labelled, worker_process
):
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

        def latest():
            with reading(engine) as connection:
                return training_runs.latest(connection)

        # Given as many new labels as it takes, when the trainer is woken
        wake()
        wait_until(lambda: latest() is not None, "a run begins", 60)
        wait_until(lambda: latest().state != RunState.RUNNING, "the run ends", 500)

        # Then the run has a verdict, a model, a report, and has read every label
        run = latest()
        assert run.state == RunState.DONE, run.reason
        assert run.verdict is not None
        assert run.reason
        assert run.model_version
        with reading(engine) as connection:
            assert run.last_label_id == labels.last_label_id(connection)
            assert training_runs.report_of(connection, run.model_version) is not None

        # And woken again, there is nothing new to learn
        wake()
        wait_until(lambda: "no training run: 0 new labels" in worker.log(), "the log says why", 60)
        assert latest() == run
