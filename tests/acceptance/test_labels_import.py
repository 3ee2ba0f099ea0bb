"""``cratesort labels import``: a table is taken whole, or every row that cannot be is named."""

import csv
import io
import json
import subprocess
import sys

import pytest

from tests.support.command_line import clean_environment


@pytest.fixture(params=["sqlite", "postgres"])
def either_database(request, label_settings):
    """Both databases, one after the other."""
    url = request.getfixturevalue(f"{request.param}_url")
    label_settings["CRATESORT_DATABASE_URL"] = url


@pytest.fixture
def import_csv(labels, tmp_path):
    """Import these bytes, given as a file named t.csv."""

    def run(content, *options, **settings):
        (tmp_path / "t.csv").write_bytes(content)
        return labels("import", "t.csv", *options, **settings)

    return run


@pytest.mark.usefixtures("either_database")
def test_an_import_reports_the_number_of_labels(save, import_csv, labelled):
    save("a.wav", "b.wav", "c.wav")
    done = import_csv(b"path,category,source\na.wav,drum,human\nb.wav,bass,\n")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout == ("2 labels: 2 new, 0 replaced, 0 unchanged\n")
    assert labelled() == {"a.wav": ("drum", "human"), "b.wav": ("bass", "import")}


def test_import_json_has_the_same_counts(save, import_csv):
    save("a.wav", "b.wav")
    import_csv(b"path,category\na.wav,drum\n")
    done = import_csv(b"path,category\na.wav,bass\nb.wav,bass\n", "--json")
    assert json.loads(done.stdout) == {
        "rows": 2, "unlabelled": 0, "new": 1, "replaced": 1, "unchanged": 0, "copies": 0,
        "faults": {},
    }  # fmt: skip


def test_the_same_table_twice_changes_nothing_the_second_time(save, import_csv, given):
    save("a.wav", "b.wav")
    table = b"path,category\na.wav,drum\nb.wav,bass\n"
    import_csv(table)
    done = import_csv(table, "--by", "somebody else")
    assert "0 new, 0 replaced, 2 unchanged" in done.stdout
    assert given() == 2


def test_a_table_from_a_spreadsheet_can_be_read_from_standard_input(save, labels, labelled):
    save("a.wav", "b.wav")
    table = b"\xef\xbb\xbfpath;category\r\na.wav;drum\r\nb.wav;bass\r\n"
    done = labels("import", "-", stdin=table)
    assert (done.code, done.stderr) == (0, "")
    assert labelled() == {"a.wav": ("drum", "import"), "b.wav": ("bass", "import")}


def test_an_empty_table_changes_nothing(import_csv):
    done = import_csv(b"path,category\n")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith("0 labels")


@pytest.mark.usefixtures("either_database")
def test_every_invalid_row_is_listed_and_nothing_is_written(save, import_csv, labelled, given):
    # Given good rows among bad ones of every kind
    save("a.wav", "b.wav", "c.wav", "d.wav")
    table = (
        b"path,category,source\n"
        b"a.wav,drum,human\n"
        b"b.wav,Drum Loup,\n"
        b"new.wav,drum,\n"
        b"c.wav,drum,nobody\n"
        b"a.wav,drum,human\n"
        b"a.wav,bass,\n"
        b"d.wav,drum,import,loud\n"
        b",drum,\n"
        b"caf\xe9.wav,drum,\n"
        b"d.wav,drum,\n"
    )
    # When they are imported
    done = import_csv(table)
    # Then each is named with its line and what is wrong with it
    assert (done.code, done.stdout) == (2, "")
    first, *lines = done.stderr.splitlines()
    assert first == "t.csv: nothing was imported, because 8 rows are invalid"
    assert sorted(lines) == [
        "line 10: caf\\xe9.wav: no such sound, and the path is not UTF-8; "
        "save the table as “CSV UTF-8”",
        "line 3: unknown category 'Drum Loup'; did you mean drum-loop or drum?",
        "line 4: new.wav: no such sound in the database; ingest it first",
        "line 5: unknown source 'nobody'; expected human, vendor, import",
        "line 6: a.wav: same sound as in line 2",
        "line 7: a.wav: bass here, but drum for the same sound in line 2",
        "line 8: not CSV: 4 cells; expected 3. Put quotation marks around a path with a comma",
        "line 9: no path",
    ]
    # And not even the good ones were written
    assert labelled() == {}
    assert given() == 0


def test_import_json_lists_the_errors(save, import_csv):
    save("a.wav")
    done = import_csv(b"path,category\na.wav,drum\na.wav,bass\nnew.wav,drum\n", "--json")
    assert done.code == 2
    report = json.loads(done.stdout)
    assert (report["rows"], report["new"]) == (3, 0)
    assert {kind: fault["count"] for kind, fault in report["faults"].items()} == {
        "conflict": 1,
        "unknown path": 1,
    }
    assert report["faults"]["conflict"]["first"][0]["line"] == 3


def test_the_list_of_errors_is_bounded(import_csv):
    rows = b"".join(b"%d.wav,drum\n" % number for number in range(2500))
    done = import_csv(b"path,category\n" + rows)
    assert done.code == 2
    assert len(done.stderr.splitlines()) == 22
    assert "because 2,500 rows are invalid" in done.stderr
    assert done.stderr.endswith("2,480 more: unknown path\n")


def test_two_spellings_of_one_sound_are_one_sound(save, import_csv, tmp_path):
    save("a.wav")
    table = f"path,category\na.wav,drum\n{tmp_path}/packs/a.wav,bass\npacks/a.wav,drum\n"
    done = import_csv(table.encode())
    assert done.code == 2
    assert "packs/a.wav: bass here, but drum for the same sound in line 2" in done.stderr
    assert "packs/a.wav: same sound as in line 2" in done.stderr


def test_predictions_are_not_imported_as_labels(
    save, import_csv, run_cli, label_settings, labelled
):
    save("a.wav")
    results = run_cli("results", "--format", "csv", settings=label_settings).stdout
    done = import_csv(results.encode())
    assert (done.code, done.stdout) == (2, "")
    assert "never imported as labels" in done.stderr
    assert labelled() == {}


def test_labels_filled_into_a_results_table_are_imported(
    save, import_csv, run_cli, label_settings, labelled
):
    # Given results of which a person filled in one label, and left a vendor's as it was
    save("a.wav", "b.wav", "c.wav")
    import_csv(b"path,category,source\nb.wav,drum,vendor\n")
    results = run_cli("results", "--format", "csv", settings=label_settings).stdout
    table = list(csv.DictReader(io.StringIO(results)))
    next(row for row in table if row["path"] == "c.wav")["label"] = "Synth Loop"
    written = io.StringIO(newline="")
    writer = csv.DictWriter(written, table[0])
    writer.writeheader()
    writer.writerows(table)
    # When the table comes back
    done = import_csv(written.getvalue().encode())
    # Then that one is new, and a person's
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout == (
        "2 labels: 1 new, 0 replaced, 1 unchanged\nskipped 1 row without a label\n"
    )
    assert labelled() == {"b.wav": ("drum", "vendor"), "c.wav": ("synth-loop", "human")}


def test_a_table_without_rows_is_reported(import_csv):
    assert "t.csv has no rows" in import_csv(b"path,category\n").stdout


def test_a_missing_table_is_a_usage_error(labels):
    done = labels("import", "nowhere.csv")
    assert (done.code, done.stderr) == (2, "cratesort: nowhere.csv: No such file or directory\n")


def test_an_unreachable_database_is_exit_code_3(labels, postgres_server):
    nobody = postgres_server.url.replace(str(postgres_server.port), "1")
    done = labels("import", "-", stdin=b"path,category\n", CRATESORT_DATABASE_URL=nobody)
    assert done.code == 3
    assert "Traceback" not in done.stderr


#: An import that dies as if it were killed, behind the second of its statements.
_DYING = """
import os, sys
from cli.labels import importer
from cli.__main__ import main

write_labels = importer.write_labels
calls = []

def write_and_die(*arguments, **options):
    calls.append(write_labels(*arguments, **options))
    if len(calls) == 2:
        os._exit(9)
    return calls[-1]

importer.write_labels = write_and_die
importer._LABELS_AT_ONCE = 10
sys.argv = ["cratesort", "labels", "import", "t.csv"]
main()
"""


@pytest.mark.usefixtures("either_database")
def test_an_import_that_is_killed_in_the_middle_leaves_nothing(
    save, labels, labelled, given, tmp_path, label_settings
):
    # Given an import that has written a part of its labels
    names = [f"{number}.wav" for number in range(30)]
    save(*names)
    (tmp_path / "t.csv").write_text("path,category\n" + "".join(f"{n},drum\n" for n in names))
    # When it is killed
    dead = subprocess.run(
        [sys.executable, "-c", _DYING],
        cwd=tmp_path,
        env=clean_environment(tmp_path, label_settings),
    )
    # Then no label is there, nor any trace of one, and the next import is as the first
    assert dead.returncode == 9
    assert (labelled(), given()) == ({}, 0)
    assert labels("import", "t.csv").stdout.startswith("30 labels: 30 new")
