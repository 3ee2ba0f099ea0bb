"""``cratesort study``: the whole comparison from one command, on a small table."""

import json
import re

import pytest

pytest.importorskip("jinja2")

from tests.support import labelled_tables

pytestmark = pytest.mark.tensorflow

SYSTEMS = (
    "naive_bayes",
    "tfidf_forest",
    "reference_lstm",
    "reference_stack_in_sample",
    "cratesort",
)


@pytest.fixture(scope="module")
def table(home):
    lines = labelled_tables.rows(vendors=("ann", "bob"), of_each=5)
    return labelled_tables.write(home / "table.csv", lines)


def test_a_study_writes_its_report_and_prints_its_path(study_by_command):
    done = study_by_command.done
    assert done.code == 0, done.stderr
    assert done.stdout.rstrip().endswith("report/report.html")
    page = (study_by_command.report / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "table.csv" in page
    metrics = json.loads((study_by_command.report / "metrics.json").read_text())
    for split in ("by_vendor", "random"):
        assert [result["system"] for result in metrics[split]] == list(SYSTEMS)


def test_results_go_to_standard_output_and_progress_to_standard_error(study_by_command):
    study = study_by_command.done
    assert study.stdout.index("Unseen vendors") < study.stdout.index("Known vendors")
    assert len(re.findall(r"^  cratesort", study.stdout, re.MULTILINE)) == 3  # and beside its parts
    assert "cross-validation by vendor: " in study.stderr
    assert "random split: " in study.stderr
    assert "Traceback" not in study.stderr


def test_an_unwritable_folder_is_refused_before_the_work(run_at_home, table):
    done = run_at_home("study", "--from-csv", table, "--report", table / "report")
    assert done.code == 2
    assert "cannot write reports to" in done.stderr
    assert "cross-validation by vendor" not in done.stderr


def test_a_table_of_one_category_is_refused_with_a_message(run_at_home, home):
    path = labelled_tables.write(home / "one.csv", labelled_tables.rows(categories=("drum",)))
    done = run_at_home("study", "--from-csv", path, "--report", "one")
    assert done.code == 2
    assert "two categories" in done.stderr
    assert done.stdout == ""


def test_an_inconsistent_table_is_refused_with_the_line(run_at_home, home):
    path = labelled_tables.write(home / "bad.csv", ["drumm,a.wav,,,,,,,ann"])
    done = run_at_home("study", "--from-csv", path, "--report", "bad")
    assert done.code == 2
    assert "line 2: unknown category 'drumm'" in done.stderr


@pytest.mark.parametrize("command", [["study", "--report", "other"], ["train"]], ids=" ".join)
def test_missing_columns_are_reported_before_tensorflow_is_loaded(run_at_home, home, command):
    path = labelled_tables.write(home / "other.csv", ["kick.wav;Drums"], "Filename;Label")
    done = run_at_home(*command, "--from-csv", path)
    assert done.code == 2
    assert (
        "got filename, label. If the column has another name, add --column category=" in done.stderr
    )
    renamed = ["--column", "category=label", "--column", "file_path=filename"]
    done = run_at_home(*command, "--from-csv", path, *renamed)
    assert "have the category drum; at least two categories are needed" in done.stderr
    assert "loading TensorFlow" not in done.stderr
