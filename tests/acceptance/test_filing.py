"""A label wins wherever a person reads; files that are gone are out of sight until forgotten."""

import csv
import io
import json
import os

import pytest

from tests.support import sounds
from tests.support.command_line import parsed

WIDTH = 80


@pytest.fixture
def crate(tmp_path):
    """Four sounds whose names contain their category."""
    names = ("Kick.wav", "Snare.wav", "Bass 120bpm loop.wav", "sub/Vocal dry.wav")
    for channels, name in enumerate(names, start=1):
        file = tmp_path / "crate" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(sounds.encoded(channels=channels))
    return tmp_path / "crate"


@pytest.fixture
def run(run_cli):
    def run(*arguments, code=0, **options):
        done = run_cli(*arguments, **options)
        assert done.code == code, done.stderr
        return done

    return run


@pytest.fixture
def listed(run):
    """The rows of ``cratesort results``, by the path's last part."""

    def listed(*options):
        rows = parsed(run("results", "--format", "json", *options).stdout)
        return {os.path.basename(row["path"]): row for row in rows}

    return listed


@pytest.fixture
def corrected(run, crate):
    """The crate after an ingest, with a kick that ada labelled a vocal."""
    run("ingest", crate)
    run("labels", "set", crate / "Kick.wav", "vocal", "--by", "ada")
    return crate


def test_rows_have_the_label_and_the_predicted_category(run, listed, corrected):
    rows = listed()
    kick = rows["Kick.wav"]
    assert (kick["filed_as"], kick["category"], kick["label"]) == ("vocal", "drum", "vocal")
    assert (kick["label_source"], kick["labelled_by"]) == ("human", "ada")
    assert kick["needs_review"] is False
    assert all(row["filed_as"] == row["category"] for row in rows.values() if not row["label"])
    (cells,) = (
        cells
        for cells in csv.DictReader(io.StringIO(run("results", "--format", "csv").stdout))
        if cells["path"].endswith("Kick.wav")
    )
    assert (cells["filed_as"], cells["category"]) == ("vocal", "drum")


def test_a_label_takes_precedence_in_filters_and_counts(run, listed, corrected):
    status = json.loads(run("status", "--json").stdout)
    vocals = listed("--category", "vocal")
    assert {"Kick.wav", "Vocal dry.wav"} <= set(vocals)
    assert "Kick.wav" not in listed("--category", "drum")
    assert "Kick.wav" not in listed("--below", "1")
    assert (status["categories"]["vocal"], status["labelled"]) == (len(vocals), {"vocal": 1})
    assert ", 1 with a label" in run("status").stdout
    again = run("ingest", corrected).stdout
    assert "1 by a label, the others by the model" in again


def test_the_table_shows_in_80_columns_who_labelled_a_sound(run, corrected):
    shown = run("results", settings={"COLUMNS": str(WIDTH)}).stdout
    lines = shown.splitlines()
    assert all(len(line) <= WIDTH for line in lines)
    at = next(number for number, line in enumerate(lines) if "Kick.wav" in line)
    assert lines[at].split()[-2:] == ["vocal", "human"]
    assert lines[at + 1].startswith("    label by ada (human); model: drum 0.")


def test_explain_shows_the_label_and_the_prediction(run, corrected):
    (sound,) = json.loads(run("explain", "--json", corrected / "Kick.wav").stdout)["sounds"]
    assert (sound["filed_as"], sound["category"], sound["labelled_by"]) == ("vocal", "drum", "ada")
    shown = run("explain", corrected / "Kick.wav").stdout
    assert "Category    vocal, labelled by ada (human)" in shown
    assert "Model       drum" in shown
    assert "not needed: it has a label" in shown


def test_only_unlabelled_sounds_are_reclassified_below_a_confidence(run, corrected, listed):
    done = run("ingest", "--json", "--reclassify", "--below", "1", corrected)
    unsure = [row for row in listed().values() if not row["label"] and row["confidence"] < 1]
    assert json.loads(done.stdout)["enqueued"] == len(unsure)


def test_a_failure_is_shown_beside_the_earlier_result(run, listed, corrected):
    # Given a labelled sound whose file is overwritten with a letter
    (corrected / "Kick.wav").write_text("Dear Sir\n")
    # When it is ingested again
    run("ingest", corrected, code=1)
    # Then it has failed, and all that was known is there
    kick = listed("--failed")["Kick.wav"]
    assert (kick["error_code"], kick["filed_as"], kick["category"]) == (
        "not_audio",
        "vocal",
        "drum",
    )
    assert kick["duration_seconds"] is not None
    shown = run("results", "--failed").stdout
    assert "category vocal: label by ada (human); model: drum 0." in shown
    status = json.loads(run("status", "--json").stdout)
    assert (status["sounds"]["failed"], status["sounds"]["classified"]) == (1, 3)


# Gone


def test_files_that_are_gone_or_moved_are_counted_listed_and_forgotten(run, listed, corrected):
    # Given a file that is deleted, and the labelled one, which is renamed
    (corrected / "Snare.wav").unlink()
    (corrected / "Kick.wav").rename(corrected / "sub" / "strange.wav")
    # When the folder is ingested again
    done = run("ingest", corrected)
    # Then both are reported, and the label is at the new path
    assert "3 sounds found, 2 unchanged, 1 gone, 1 moved" in done.stdout
    assert listed()["strange.wav"]["filed_as"] == "vocal"
    assert set(listed("--gone")) == {"Snare.wav"}
    assert listed("--gone")["Snare.wav"]["gone_at"] is not None
    # And what is gone can be forgotten
    assert run("forget", "--gone").stdout == "1 sound forgotten\n"
    assert listed("--gone") == {}


def test_an_unmounted_folder_is_refused_in_one_line(run, listed, corrected):
    # Given a folder whose files are not visible
    corrected.rename(corrected.parent / "elsewhere")
    corrected.mkdir()
    # When it is ingested
    done = run("ingest", corrected, code=3)
    # Then the message has the remedy, and no file is gone
    (line,) = (done.stdout + done.stderr).splitlines()
    assert "no sounds found, but the database has 4 sounds below it; is it mounted?" in line
    assert "which removes 1 label" in line
    assert len(listed()) == 4


def test_more_gone_than_found_hints_at_a_missing_mount(run, corrected):
    # Given a folder that has lost most of its files
    for path in corrected.glob("*.wav"):
        path.unlink()
    # When it is ingested
    lines = run("ingest", corrected).stdout.splitlines()
    # Then the summary mentions that a mount may be missing
    assert lines[0] == "1 sound found, 1 unchanged, 3 gone"
    assert lines[1].startswith("more gone than found; if a mount is missing")
    assert len(lines[1]) < WIDTH


def test_a_sound_whose_file_broke_counts_in_its_category(run, listed, corrected):
    (corrected / "Kick.wav").write_bytes(b"no sound")
    run("ingest", corrected, code=1)
    status = json.loads(run("status", "--json").stdout)
    vocals = listed("--category", "vocal")
    assert vocals["Kick.wav"]["error_code"] == "not_audio"
    assert (status["categories"]["vocal"], status["labelled"]) == (len(vocals), {"vocal": 1})
    assert (status["sounds"]["classified"], status["sounds"]["failed"]) == (len(listed()) - 1, 1)


def test_a_sound_or_a_folder_is_forgotten_by_its_path(run, listed, corrected):
    assert json.loads(run("forget", "--json", corrected / "sub").stdout) == {"forgotten": 1}
    run("forget", corrected / "Kick.wav", corrected / "Snare.wav")
    assert set(listed()) == {"Bass 120bpm loop.wav"}
    done = run("forget", corrected / "nothing.wav", code=2)
    assert "nothing.wav: no such sound or folder in the database" in done.stderr
    assert "a path is empty" in run("forget", "", "--yes", code=2).stderr


def test_many_sounds_are_forgotten_with_yes_only(run, listed, label_settings, save):
    save(*(f"{number}.wav" for number in range(101)))
    packs = label_settings["CRATESORT_LIBRARY_ROOTS"].partition("=")[2]
    done = run("forget", packs, settings=label_settings, code=2)
    assert "this would forget 101 sounds; add --yes to confirm" in done.stderr
    done = run("forget", packs, "--yes", settings=label_settings)
    assert done.stdout == "101 sounds forgotten\n"
