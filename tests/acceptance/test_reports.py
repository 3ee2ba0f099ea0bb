"""What is said of a classified library: status, results in four formats, doctor."""

import csv
import io
import json
import shutil
import subprocess
import sys

import pyarrow.parquet
import pytest

from tests.support import processes, sounds
from tests.support.command_line import parsed

RESULT_COLUMNS = [
    "path", "pack", "filed_as", "category", "confidence", "top3", "label", "error_code",
    "error_message", "model_version", "file_size", "duration_seconds", "sample_rate_hz",
    "channels", "frame_count", "sample_type", "classified_at",
]  # fmt: skip


@pytest.fixture(scope="module")
def mixed_folder(library, tmp_path_factory):
    """One pack of good sounds, names a spreadsheet would run, and two that fail."""
    folder = tmp_path_factory.mktemp("mixed")
    shutil.copytree(library / "free stuff", folder / "free stuff")
    for name in ("=cmd.wav", "+1.wav", "-1.wav", "@sum.wav", 'quote", comma.wav'):
        (folder / name).write_bytes(sounds.encoded())
    (folder / "empty.wav").touch()
    (folder / "letter.wav").write_text("Dear Sir\n")
    return folder


@pytest.fixture(scope="module")
def ask(run_at_home, mixed_folder):
    """Ask ``cratesort`` about the classified `mixed_folder`, by a path of its own for a root."""
    settings = {"CRATESORT_LIBRARY_ROOTS": f"mixed={mixed_folder}"}
    assert run_at_home("ingest", mixed_folder, settings=settings).code == 1

    def run(*arguments, code=0):
        done = run_at_home(*arguments, settings=settings)
        assert done.code == code, done.stderr
        return done

    return run


@pytest.fixture(scope="module")
def rows(ask):
    """Every row, as JSON lines tell it."""
    return parsed(ask("results", "--format", "json").stdout)


def test_json_rows_have_the_columns_of_the_contract(rows):
    assert all(list(row)[: len(RESULT_COLUMNS)] == RESULT_COLUMNS for row in rows)


def test_rows_come_in_path_order(rows):
    paths = [row["path"] for row in rows]
    assert paths == sorted(paths)


def test_top3_starts_with_the_category_in_descending_order(rows):
    for row in rows:
        best = row["top3"]
        if row["category"] is None:
            assert best == []
            continue
        assert best[0] == {"category": row["category"], "probability": row["confidence"]}
        values = [entry["probability"] for entry in best]
        assert len(values) == 3
        assert values == sorted(values, reverse=True)


def test_confidence_has_four_digits(rows):
    told = [row["confidence"] for row in rows if row["category"] is not None]
    assert told == [round(confidence, 4) for confidence in told]
    assert told != [round(confidence, 3) for confidence in told]


def test_csv_agrees_with_json(ask, rows):
    table = list(csv.DictReader(io.StringIO(ask("results", "--format", "csv").stdout)))
    assert list(table[0])[: len(RESULT_COLUMNS)] == RESULT_COLUMNS
    for cells, row in zip(table, rows, strict=True):
        for column in set(RESULT_COLUMNS) - {"path", "top3"}:
            assert cells[column] == ("" if row[column] is None else str(row[column])), column
        assert cells["path"].removeprefix("'") == row["path"]
        flat = [f"{best['category']}:{best['probability']}" for best in row["top3"]]
        assert cells["top3"].split() == flat


def test_parquet_agrees_with_json(ask, rows):
    # The bytes of a binary file, which came through as text with its odd bytes escaped.
    file = ask("results", "--format", "parquet").stdout.encode(errors="surrogateescape")
    assert pyarrow.parquet.read_table(io.BytesIO(file)).to_pylist() == rows


@pytest.mark.parametrize("name", ["=cmd.wav", "+1.wav", "-1.wav", "@sum.wav"])
def test_a_cell_that_a_spreadsheet_would_run_is_escaped_in_csv(ask, name):
    table = csv.DictReader(io.StringIO(ask("results", "--format", "csv").stdout))
    paths = [row["path"] for row in table]
    assert f"'{name}" in paths
    assert name not in paths


def test_a_formula_in_a_name_is_unchanged_in_json(rows):
    assert "=cmd.wav" in [row["path"] for row in rows]


def test_results_can_be_filtered_by_category(ask, rows):
    category = next(row["category"] for row in rows if row["category"])
    narrowed = parsed(ask("results", "--format", "json", "--category", category).stdout)
    assert narrowed == [row for row in rows if row["category"] == category]


def least_sure_first(rows):
    """The order of review; by path where two are equally sure, as `rows` are."""
    return sorted(rows, key=lambda row: row["confidence"])


def test_results_below_a_confidence_are_listed_least_confident_first(ask, rows):
    narrowed = parsed(ask("results", "--format", "json", "--below", "0.5").stdout)
    unsure = [row for row in rows if row["category"] and row["confidence"] < 0.5]
    assert narrowed == least_sure_first(unsure)


def test_results_can_be_filtered_by_failure_and_code(ask):
    narrowed = parsed(ask("results", "--format", "json", "--failed").stdout)
    why = {row["path"]: row["error_code"] for row in narrowed}
    assert why == {"empty.wav": "empty_file", "letter.wav": "not_audio"}


def test_the_table_shows_each_sound_with_its_category_or_the_reason(ask, rows):
    shown = ask("results").stdout
    for row in rows:
        line = next(line for line in shown.splitlines() if line.startswith(row["path"]))
        assert (row["category"] or row["error_code"]) in line
    assert "the file is empty (0 bytes)" in shown


def test_status_counts_what_results_list(ask, rows):
    status = json.loads(ask("status", "--json").stdout)

    classified = [row for row in rows if row["category"]]
    unsure = [row for row in classified if row["needs_review"]]
    assert unsure
    assert status["sounds"] == {
        "classified": len(classified),
        "failed": len(rows) - len(classified),
        "needs_review": len(unsure),
        "given_up": 0,
    }
    assert status["batches"] == {"pending": 0, "queued": 0, "running": 0, "done": 1}
    assert status["model_version"] == classified[0]["model_version"]
    assert status["files_per_second"] >= 0
    assert [ingest["enqueued"] for ingest in status["ingests"]] == [len(rows)]


def test_status_as_text_shows_the_same_counts(ask, rows):
    failed = sum(row["category"] is None for row in rows)
    shown = ask("status").stdout
    assert f"{len(rows) - failed} classified, {failed} failed" in shown
    assert "not_audio" in shown


def test_doctor_finds_no_problem_after_an_ingest(ask):
    assert ask("doctor").stdout.endswith("All checks passed.\n")


def test_doctor_json_lists_each_check_as_ok(ask):
    report = json.loads(ask("doctor", "--json").stdout)
    assert report["ok"] is True
    findings = {check["name"]: check["finding"] for check in report["checks"]}
    checks = ("install", "settings", "data", "root", "database", "queue", "model")
    assert findings == dict.fromkeys(checks, "ok")


def test_doctor_reports_an_unavailable_root_with_advice(run_cli, tmp_path):
    settings = {"CRATESORT_LIBRARY_ROOTS": f"packs={tmp_path}/unmounted"}
    done = run_cli("doctor", settings=settings)
    assert done.code == 2
    assert f"packs = {tmp_path}/unmounted is not a folder" in done.stdout
    assert "-> mount it" in done.stdout


def test_results_of_an_empty_database_name_the_database(run_cli):
    run_cli("db", "upgrade")
    done = run_cli("results")
    assert (done.code, done.stdout) == (0, "")
    assert "no matching sounds" in done.stderr


@pytest.mark.parametrize(
    "options", [("table",), ("csv",), ("json",), ("csv", "--category", "vocal")], ids=" ".join
)
def test_a_closed_output_pipe_gives_no_error(ask, home, mixed_folder, options):
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "results", "--format", *options],
        cwd=home,
        env=processes.clean_environment(home, {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()  # before the first row is written
    assert process.stderr.read() == b""
    assert process.wait() == 0


def test_doctor_creates_nothing(run_cli, tmp_path):
    # Given a database file that is not there, in a folder that is not there
    url = f"sqlite:///{tmp_path}/mistyped/cratesort.db"

    # When doctor checks it
    done = run_cli("doctor", settings={"CRATESORT_DATABASE_URL": url})

    # Then it reports that and changes nothing
    assert done.code == 0
    assert f"there is no database at {url} yet" in done.stdout
    assert not (tmp_path / "mistyped").exists()


def test_needs_review_lists_the_least_confident_first(ask, rows):
    narrowed = parsed(ask("results", "--format", "json", "--needs-review").stdout)
    assert narrowed == least_sure_first([row for row in rows if row["needs_review"]])
    assert narrowed


def test_the_table_marks_sounds_to_review_and_names_the_option(ask, rows):
    done = ask("results")
    marked = [line for line in done.stdout.splitlines() if line.endswith("?")]
    unsure = sum(row["needs_review"] for row in rows)
    assert len(marked) == unsure
    assert f"{unsure} sounds need a review (?): cratesort results --needs-review" in (done.stderr)


def test_without_sounds_to_review_there_is_no_hint(ask):
    assert "review" not in ask("results", "--failed").stderr


def test_failed_sounds_need_no_review(ask):
    assert "cannot be combined" in ask("results", "--failed", "--needs-review", code=2).stderr
