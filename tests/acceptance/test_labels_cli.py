"""``cratesort labels``: set by hand, exported and back, counted, and never lost."""

import csv
import io
import itertools
import json
import os
from pathlib import Path

import pytest

from classifier.errors import ErrorCode
from classifier.files.paths import path_text
from cli.console.csv_cells import spreadsheet_safe
from db.results.sounds import Failure
from tests.support import sounds
from tests.support.command_line import parsed

#: Names as bytes that have to come through tables and terminals whole.
HOSTILE = (
    b"two\nlines.wav",
    b"carriage\rreturn.wav",
    b"\x1b[31mred.wav",
    b"caf\xe9.wav",
    b"caf\\xe9.wav",
    b'a, "b"; c.wav',
    "\u202egnp.\u97f3.wav".encode(),
    b"=1+1.wav",
    b"'=1+1.wav",
    b"''=1+1.wav",
    b"-1 dB.wav",
    b"@home.wav",
    b" spaced .wav",
)


@pytest.fixture(params=["sqlite", "postgres"])
def either_database(request, label_settings):
    """Both databases, one after the other."""
    url = request.getfixturevalue(f"{request.param}_url")
    label_settings["CRATESORT_DATABASE_URL"] = url


def csv_table(*rows):
    """A table of paths, categories and sources, as bytes."""
    written = io.StringIO(newline="")
    csv.writer(written).writerows([("path", "category", "source"), *rows])
    return written.getvalue().encode()


# Paths and roots


def test_a_path_in_two_roots_needs_the_root_option(save, labels):
    save("a.wav", root="packs")
    save("a.wav", root="more")
    also_more = {"CRATESORT_LIBRARY_ROOTS": "packs=/p,more=/m"}
    done = labels("import", "-", stdin=b"path,category\na.wav,drum\n", **also_more)
    assert done.code == 2
    reason = "it exists in the library roots more and packs"
    assert f"line 2: a.wav: {reason}; add a column root" in done.stderr
    by_root = b"path,category,root\na.wav,drum,more\n"
    assert labels("import", "-", stdin=by_root, **also_more).code == 0
    on_disk = b"path,category\n/p/a.wav,bass\n"
    assert labels("import", "-", stdin=on_disk, **also_more).code == 0
    rows = parsed(labels("export", "--format", "json").stdout)
    assert {row["root"]: row["category"] for row in rows} == {"more": "drum", "packs": "bass"}
    done = labels("set", "a.wav", "drum", **also_more)
    assert done.code == 2
    assert "it exists in the library roots more and packs" in done.stderr


def test_a_root_not_mounted_on_this_host_is_known_from_the_ledger(
    run_cli, labels, label_settings, library
):
    roots = {"CRATESORT_LIBRARY_ROOTS": f"elsewhere={library}"}
    assert run_cli("ingest", library, settings=label_settings | roots).code == 0
    path = next(library.rglob("*.wav")).relative_to(library)
    assert labels("set", path, "drum").code == 0


# Set


@pytest.mark.usefixtures("either_database")
def test_setting_a_label_reports_what_it_replaced(save, labels, labelled):
    save("a.wav")
    assert labels("set", "a.wav", "drum").stdout == "a.wav: labelled drum (human)\n"
    done = labels("set", "a.wav", "bass", "--source", "vendor")
    assert done.stdout == "a.wav: labelled bass (vendor), before drum (human)\n"
    assert labelled() == {"a.wav": ("bass", "vendor")}


def test_setting_the_same_label_again_is_reported(save, labels, given):
    save("a.wav")
    labels("set", "a.wav", "drum", "--by", "ada")
    done = labels("set", "a.wav", "drum", "--by", "bob")
    assert (done.code, done.stdout) == (0, "a.wav: already labelled drum (human) by ada\n")
    assert given() == 1


def test_an_absolute_path_of_this_machine_is_accepted(save, labels, labelled, tmp_path):
    save("kits/a.wav", "kits/b.wav")
    assert labels("set", f"{tmp_path}/packs/kits/a.wav", "drum").code == 0
    assert labels("set", "packs/../packs/kits/b.wav", "bass").code == 0
    assert labelled() == {"kits/a.wav": ("drum", "human"), "kits/b.wav": ("bass", "human")}


def test_set_json_has_the_new_and_the_old_label(save, labels):
    save("a.wav")
    first = json.loads(labels("set", "a.wav", "drum", "--by", "ada", "--json").stdout)
    assert first.pop("labelled_at")
    assert first == {
        "path": "a.wav", "root": "packs", "category": "drum", "source": "human",
        "labelled_by": "ada", "earlier": None, "copies": 0,
    }  # fmt: skip
    second = json.loads(labels("set", "a.wav", "bass", "--by", "bob", "--json").stdout)
    assert (second["category"], second["earlier"]["category"]) == ("bass", "drum")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["a.wav", "Drun"], "unknown category 'Drun'; did you mean drum?"),
        (["new.wav", "drum"], "new.wav: no such sound in the database; ingest it first"),
        (["", "drum"], "no such sound in the database"),
        (["\x1b[31m.wav", "drum"], r"\x1b[31m.wav: no such sound"),
        ([b"caf\xe9.wav", "drum"], r"caf\xe9.wav: no such sound"),
        (["a.wav", b"caf\xe9"], r"unknown category 'caf\xe9'"),
        (["a.wav", "drum", "--source", "model"], "'model' is not one of"),
        (["--folder", "kits", "drum"], "kits: the database has no sounds below it"),
        (["drum"], "expected PATH and CATEGORY"),
        (["--folder", "", "drum"], "--folder is empty"),
        (["packs", "drum"], "packs is a folder; label all sounds below it: --folder"),
        (["a.wav", "drum", "--by", " "], "name who assigns the labels"),
        (["a.wav", "drum", "--by", 256 * "a"], "--by has 256 characters; expected at most 255"),
    ],
    ids=ascii,
)
def test_a_refused_label_is_reported_in_one_line(save, labels, labelled, arguments, reason):
    save("a.wav")
    done = labels("set", *arguments)
    assert (done.code, done.stdout) == (2, "")
    assert reason in done.stderr
    assert "\x1b" not in done.stderr
    assert labelled() == {}


def test_several_sounds_and_whole_folders_are_labelled_at_once(save, labels, labelled):
    save("a.wav", "b.wav", "kits/c.wav", "kits/d/e.wav", "kitsch/f.wav")
    done = labels("set", "a.wav", "b.wav", "--folder", "kits", "drum")
    assert done.stdout == ("4 sounds labelled drum (human): 4 new, 0 replaced, 0 unchanged\n")
    assert set(labelled()) == {"a.wav", "b.wav", "kits/c.wav", "kits/d/e.wav"}


def test_a_folder_may_be_absolute_or_the_root_itself(save, labels, labelled, tmp_path):
    save("kits/a.wav", "b.wav")
    assert labels("set", "--folder", f"{tmp_path}/packs/kits/", "drum").code == 0
    assert set(labelled()) == {"kits/a.wav"}
    assert labels("set", "--folder", "packs", "drum").code == 0
    assert set(labelled()) == {"kits/a.wav", "b.wav"}


def test_labelling_very_many_sounds_requires_confirmation(save, labels, labelled):
    save(*(f"kits/{number}.wav" for number in range(101)))
    done = labels("set", "--folder", "kits", "drum")
    assert done.code == 2
    assert "this would label 101 sounds; add --yes to confirm" in done.stderr
    assert labels("set", "--folder", "kits", "drum", "--yes").code == 0
    assert len(labelled()) == 101


def test_copies_get_the_label_and_are_reported(labels, run_cli, label_settings):
    # Given a sound that lies in two folders under two names, and another as large
    packs = Path(label_settings["CRATESORT_LIBRARY_ROOTS"].partition("=")[2])
    content = sounds.encoded("WAV")
    for name, data in {
        "a/x.wav": content,
        "b/y.wav": content,
        "c/z.wav": content[:-1] + b"!",
    }.items():
        (packs / name).parent.mkdir()
        (packs / name).write_bytes(data)
    assert run_cli("ingest", packs, settings=label_settings).code == 0
    # When one is labelled
    done = labels("set", "a/x.wav", "vocal")
    # Then the one of the same content follows
    assert "also labelled 1 copy: same content" in done.stdout
    rows = parsed(run_cli("results", "--format", "json", settings=label_settings).stdout)
    assert {row["path"]: row["label"] for row in rows} == {
        "a/x.wav": "vocal", "b/y.wav": "vocal", "c/z.wav": None,
    }  # fmt: skip


def test_labels_are_attributed_to_the_login_name_by_default(save, labels):
    save("a.wav", "b.wav")
    labels("set", "a.wav", "drum", LOGNAME="ada")
    labels("set", "b.wav", "drum", "--by", "bob")
    rows = parsed(labels("export", "--format", "json").stdout)
    assert [row["labelled_by"] for row in rows] == ["ada", "bob"]


# Export


@pytest.mark.usefixtures("either_database")
def test_an_export_survives_the_round_trip_with_any_names(save, labels, labelled, given):
    # Given labels of sounds with every kind of name
    save(*HOSTILE)
    categories = itertools.cycle(("drum", "bass", "vocal"))
    rows = [(spreadsheet_safe(path_text(name)), next(categories), "vendor") for name in HOSTILE]
    assert labels("import", "-", stdin=csv_table(*rows)).code == 0
    before = labelled()
    assert set(before) == set(map(path_text, HOSTILE))

    # When they are exported, all replaced, and imported again
    table = labels("export").stdout.encode()
    others = [(path, "synth", "human") for path, _, _ in rows]
    assert labels("import", "-", stdin=csv_table(*others)).code == 0
    done = labels("import", "-", stdin=table)

    # Then each sound has its own again
    assert (done.code, done.stderr) == (0, "")
    assert labelled() == before

    # And a second time nothing is left to do
    assert "0 new, 0 replaced" in labels("import", "-", stdin=table).stdout
    assert given() == 3 * len(HOSTILE)


def test_exported_formulas_are_escaped(save, labels):
    save(*HOSTILE)
    labels("set", "--by", "=cmd", "--", "=1+1.wav", "drum")
    rows = list(csv.reader(io.StringIO(labels("export").stdout, newline="")))
    assert rows[0] == ["path", "category", "source", "root", "labelled_by", "labelled_at"]
    assert rows[1][:5] == ["'=1+1.wav", "drum", "human", "packs", "'=cmd"]


@pytest.mark.usefixtures("either_database")
def test_paths_from_results_are_accepted(save, run_cli, labels, label_settings, labelled):
    save(*HOSTILE)
    results = run_cli("results", "--format", "csv", settings=label_settings).stdout
    printed = [row["path"] for row in csv.DictReader(io.StringIO(results, newline=""))]
    done = labels("import", "-", stdin=csv_table(*((path, "drum", "human") for path in printed)))
    assert (done.code, done.stderr) == (0, "")
    assert set(labelled()) == set(map(path_text, HOSTILE))


@pytest.mark.parametrize("name", [b"two\nlines.wav", b"\x1b[31mred.wav", b"caf\xe9.wav"])
def test_a_path_from_the_results_table_is_accepted(
    save, run_cli, labels, label_settings, labelled, name
):
    save(name)
    printed = run_cli("results", settings=label_settings).stdout.splitlines()[1].split("  ")[0]
    done = labels("set", printed, "drum")
    assert (done.code, done.stderr) == (0, "")
    assert set(labelled()) == {path_text(name)}


def test_paths_from_find_are_accepted(save, labels, labelled, tmp_path):
    save(b"caf\xe9.wav", "a.wav")
    packs = os.fsencode(tmp_path) + b"/packs/"
    table = b"path,category\n%scaf\xe9.wav,drum\n%sa.wav,bass\n" % (packs, packs)
    assert labels("import", "-", stdin=table).code == 0
    assert labelled() == {"caf\\xe9.wav": ("drum", "import"), "a.wav": ("bass", "import")}


def test_without_labels_an_export_has_only_its_header(labels):
    assert labels("export").stdout == "path,category,source,root,labelled_by,labelled_at\n"
    assert labels("export", "--format", "json").stdout == ""


# Stats


def test_stats_count_labels_and_how_often_the_model_agrees(save, labels):
    save("a.wav", "b.wav", "c.wav")
    save("cut.wav", failure=Failure(ErrorCode.TRUNCATED, "it is cut"))
    table = b"path,category,source\na.wav,bass,human\nb.wav,drum,vendor\ncut.wav,drum,vendor\n"
    labels("import", "-", stdin=table)
    counts = json.loads(labels("stats", "--json").stdout)
    assert counts["labelled"] == counts["undecided"] == 3
    assert (counts["compared"], counts["agreeing"], counts["held_out"]) == (2, 1, 0)
    assert counts["sources"] == {"vendor": 2, "human": 1}
    assert counts["vendors"] == {"a vendor": 3}
    assert counts["categories"]["drum"] == {"labelled": 2, "compared": 1, "agreeing": 0}
    shown = labels("stats").stdout
    assert "3 labelled sounds" in shown
    assert "50.0%" in shown


def test_stats_without_labels_explain_how_to_add_them(save, labels):
    save("a.wav")
    assert "`cratesort labels import FILE.csv`" in labels("stats").stdout


def test_control_characters_of_a_vendor_are_escaped(run_cli, tmp_path):
    folder = tmp_path / "sounds" / "\x1b[31mred"
    folder.mkdir(parents=True)
    (folder / "kick.wav").write_bytes(sounds.encoded())
    assert run_cli("ingest", "sounds").code == 0
    done = run_cli("labels", "set", folder / "kick.wav", "drum", "--by", "\x1b[31mada")
    again = run_cli("labels", "set", folder / "kick.wav", "drum")
    said = done.stdout + again.stdout + run_cli("labels", "stats").stdout
    assert r"\x1b[31mred" in said
    assert r"by \x1b[31mada" in said
    assert "\x1b" not in said


# What a label outlives


def test_a_label_survives_new_ingests_reclassification_and_failures(
    run_cli, read_results, tmp_path
):
    # Given a sound with a label
    kick = tmp_path / "sounds" / "kick.wav"
    kick.parent.mkdir()
    kick.write_bytes(sounds.encoded())
    assert run_cli("ingest", "sounds").code == 0
    assert run_cli("labels", "set", "sounds/kick.wav", "vocal").code == 0
    before = run_cli("labels", "export").stdout

    def visited(*options, code):
        """Ingest again; return the row and whether the labels are as before."""
        assert run_cli("ingest", "sounds", *options).code == code
        (row,) = read_results()
        return row["label"], row["error_code"], run_cli("labels", "export").stdout == before

    # When it is visited again, classified again, changed, broken and repaired, then it keeps it
    assert visited(code=0) == ("vocal", None, True)
    assert visited("--reclassify", code=0) == ("vocal", None, True)
    kick.write_bytes(sounds.encoded(channels=2))
    assert visited(code=0) == ("vocal", None, True)
    kick.write_bytes(b"RIFF")
    assert visited(code=1) == ("vocal", "not_audio", True)
    kick.write_bytes(sounds.encoded())
    assert visited(code=0) == ("vocal", None, True)
