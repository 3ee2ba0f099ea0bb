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


def test_a_study_leaves_its_report_and_says_where(study_by_command):
    done = study_by_command.done
    assert done.code == 0, done.stderr
    assert done.stdout.rstrip().endswith("report/report.html")
    page = (study_by_command.report / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "table.csv" in page
    metrics = json.loads((study_by_command.report / "metrics.json").read_text())
    for split in ("by_vendor", "random"):
        assert [result["system"] for result in metrics[split]] == list(SYSTEMS)


def test_the_answer_is_on_one_stream_and_the_progress_on_the_other(study_by_command):
    study = study_by_command.done
    assert study.stdout.index("Held-out vendors") < study.stdout.index("Known vendors")
    assert len(re.findall(r"^  cratesort", study.stdout, re.MULTILINE)) == 3  # and beside its parts
    assert "cross-validation by vendor: " in study.stderr
    assert "random split: " in study.stderr
    assert "Traceback" not in study.stderr


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(run_at_home, table):
    done = run_at_home("study", "--from-csv", table, "--report", table / "report")
    assert done.code == 2
    assert "cannot write reports to" in done.stderr
    assert "cross-validation by vendor" not in done.stderr


def test_a_table_of_one_category_is_refused_in_words(run_at_home, home):
    path = labelled_tables.write(home / "one.csv", labelled_tables.rows(categories=("drum",)))
    done = run_at_home("study", "--from-csv", path, "--report", "one")
    assert done.code == 2
    assert "two categories" in done.stderr
    assert done.stdout == ""


def test_a_table_that_contradicts_itself_is_refused_by_its_line(run_at_home, home):
    path = labelled_tables.write(home / "bad.csv", ["drumm,a.wav,,,,,,,ann"])
    done = run_at_home("study", "--from-csv", path, "--report", "bad")
    assert done.code == 2
    assert "line 2: unknown category 'drumm'" in done.stderr


@pytest.mark.parametrize("command", [["study", "--report", "other"], ["train"]], ids=" ".join)
def test_columns_of_other_names_are_asked_for_before_tensorflow_is_loaded(
    run_at_home, home, command
):
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
