"""``cratesort train``: from labels to a verdict, and what is said where nothing can be learned."""

import csv
import json
import os
import re

import pytest
from sqlalchemy import select

pytest.importorskip("pandas")

from classifier.bundle.starter import starter_version
from db.engine import create_engine, reading
from db.tables import training_runs
from tests.support.fitted import fits_made_small
from tests.support.json_page import used_keys

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def labelled(run_at_home, home, library):
    """The example library classified, and each of its sounds labelled."""
    assert run_at_home("ingest", library).code == 0
    table = home / "labels.csv"
    with (library / "MANIFEST.csv").open(newline="") as manifest, table.open("w") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "category"])
        for row in csv.DictReader(manifest):
            rows.writerow([library / row["path"], row["category"]])
    done = run_at_home("labels", "import", table)
    assert done.code == 0, done.stderr
    return home


@pytest.fixture(scope="module")
def trained(run_at_home, labelled):
    with fits_made_small():
        return run_at_home("train", "--report", labelled / "report")


def test_a_run_prints_its_training_data_the_verdict_and_the_reason(trained):
    assert trained.code == 0, trained.stderr
    assert "79 labelled sounds: 79 for training, 0 held out" in trained.stdout
    assert " is not promoted: the current model stays in use\n  " in trained.stdout
    assert "of your sounds that neither model was trained on, grouped by folder" in trained.stdout
    assert re.search(r"cratesort models promote 2\S+ --yes\n", trained.stdout)


def test_before_fitting_train_prints_the_data_and_the_kind_of_comparison(trained):
    lines = [line for line in trained.stderr.splitlines() if not line.startswith("reading labels")]
    what, how, loading, *_ = lines
    assert what.startswith("79 labelled sounds; training sounds: 6 bass, 5 bass-loop, 17 drum, ")
    assert how.startswith(
        "too few packs to hold some out: the new model is compared out of fold, on "
    )
    assert loading == "loading TensorFlow"


def test_the_output_fits_80_columns(trained):
    long = [line for line in trained.stdout.splitlines() if len(line) > 80]
    assert all("of your sounds" in line for line in long)


def test_only_the_report_is_written_to_the_requested_place(trained, labelled):
    assert os.listdir(labelled / "report") == ["report.html"]
    page = (labelled / "report" / "report.html").read_text()
    assert "not promoted: the current model stays in use" in page
    assert "the accuracy on further sounds of this library" in page
    # SVG's name looks like an address and is none.
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_status_and_models_list_show_the_run_and_its_model(trained, run_at_home):
    state = json.loads(run_at_home("status", "--json").stdout)
    assert state["training"]["verdict"] == "kept"
    listed = json.loads(run_at_home("models", "list", "--json").stdout)["models"]
    (stored,) = [model for model in listed if model["origin"] == "database"]
    assert not stored["serves"]


def test_what_training_prints_as_json_is_documented(trained, run_at_home, home):
    listed = json.loads(run_at_home("models", "list", "--json").stdout)["models"]
    (version,) = [model["version"] for model in listed if model["origin"] == "database"]
    manifest = json.loads(run_at_home("models", "show", version, "--json").stdout)
    used_keys("cratesort models show", manifest)
    engine = create_engine(f"sqlite:///{home}/.local/share/cratesort/cratesort.db")
    with reading(engine) as connection:
        run = connection.execute(select(training_runs)).one()
    engine.dispose()
    used_keys("cratesort train", {**run.sizes, **run.metrics})


def test_the_report_can_be_read_again_from_the_database(trained, run_at_home, labelled):
    listed = json.loads(run_at_home("models", "list", "--json").stdout)["models"]
    (version,) = [model["version"] for model in listed if model["origin"] == "database"]
    again = run_at_home("models", "show", version, "--report", "-")
    assert again.stdout == (labelled / "report" / "report.html").read_text()
    none = run_at_home("models", "show", starter_version(), "--report", "-")
    assert none.code == 2
    assert f"no training run in this database produced a model '{starter_version()}'" in none.stderr


def test_without_labels_train_explains_how_to_add_them(run_cli):
    run_cli("ingest", os.devnull)  # makes the database
    done = run_cli("train")
    assert done.code == 2
    assert "no labels to train on: add labels with `cratesort labels import`" in done.stderr


def test_an_unwritable_report_is_refused_before_the_work(run_cli, tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = run_cli("train", "--report", tmp_path / "file" / "below")
    assert done.code == 2
    assert "cannot write reports" in done.stderr


def test_a_model_trained_on_a_table_is_not_promoted_automatically(
    run_cli, library, tmp_path, small_fits
):
    # Given a table of labelled names of two vendors
    table = tmp_path / "table.csv"
    with (library / "MANIFEST.csv").open(newline="") as manifest, table.open("w") as file:
        rows = csv.writer(file)
        rows.writerow(["category", "file_path", "vendor"])
        for number, row in enumerate(csv.DictReader(manifest)):
            name = os.path.basename(row["path"])
            rows.writerow([row["category"], f"{number}_{name}", f"vendor {number % 2}"])
    run_cli("ingest", os.devnull)  # makes the database
    # When a model is trained from it
    done = run_cli("train", "--from-csv", table, "--json")
    # Then it was measured by vendor and at random, and is not in use
    assert done.code == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["verdict"] == "stored"
    assert answer["by_vendor"]["n_sounds"] == answer["sounds"] == 79
    assert answer["random_split"]["n_sounds"] == 27  # a third, rounded up
    status = json.loads(run_cli("status", "--json").stdout)
    assert status["model_version"].startswith("starter")
    # And the model that serves was scored on the same rows, and too few packs decide nothing
    assert answer["champion_version"] == starter_version()
    assert answer["champion"]["n_sounds"] == answer["challenger"]["n_sounds"] == 79
    assert answer["challenger"] == answer["by_vendor"]
    assert not answer["passed_gate"]
    assert "79 sounds in 2 packs" in answer["gate"]
    assert answer["gate"] in answer["reason"]
    # And what it printed is documented
    used_keys("cratesort train", answer)
