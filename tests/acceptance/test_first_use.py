"""A stranger's first minutes: one command on a folder of sounds, nothing configured."""

import json
import os
import shutil
import statistics
from pathlib import Path

import pytest

from classifier.categories import CATEGORIES

INGEST_KEYS = {
    "ingest_id", "found", "skipped_unchanged", "ignored", "enqueued",
    "classified", "failed", "seconds", "passed_over", "unsupported_format", "gone", "moved",
}  # fmt: skip


@pytest.fixture
def own_library(library, tmp_path):
    """A copy of the example library that a test may change."""
    return shutil.copytree(library, tmp_path / "sounds")


def sounds_in(folder):
    return sorted(
        str(path.resolve()) for path in folder.rglob("*.*") if path.name != "MANIFEST.csv"
    )


def test_one_command_classifies_every_sound_of_a_folder(run_cli, library, read_results):
    done = run_cli("ingest", library)

    assert done.code == 0, done.stderr
    rows = read_results()
    assert [row["path"] for row in rows] == sounds_in(library)
    assert all(row["category"] in CATEGORIES for row in rows)


def test_the_summary_counts_found_and_ignored_files(run_cli, library):
    count = len(sounds_in(library))
    done = run_cli("ingest", library)
    assert f"{count} sounds found, 0 unchanged\nignored: 1 .csv\n" in done.stdout
    assert f"{count} classified, 0 failed" in done.stdout


def test_ignored_kinds_fit_80_columns_with_unsupported_audio_first(run_cli, tmp_path):
    folder = tmp_path / "sounds"
    folder.mkdir()
    for number in range(30):
        (folder / f"a{number % 10}.kind{number % 15}").touch()
    (folder / "a.m4a").touch()
    done = run_cli("ingest", folder)
    assert done.code == 0, done.stderr
    assert all(len(line) < 80 for line in done.stdout.splitlines())
    assert "ignored: 1 .m4a (unsupported audio format), 2 .kind" in done.stdout
    assert "8 of other kinds" in done.stdout


def test_unsupported_audio_is_counted_and_exit_code_1_only_with_strict(run_cli, tmp_path):
    (tmp_path / "a.m4a").touch()
    told = run_cli("ingest", tmp_path)
    assert told.code == 0
    assert "ignored: 1 .m4a (unsupported audio format)" in told.stdout
    asked = run_cli("ingest", tmp_path, "--strict", "--json")
    assert asked.code == 1
    assert json.loads(asked.stdout)["unsupported_format"] == 1


def test_excluded_files_of_option_and_setting_are_skipped(run_cli, read_results, library):
    done = run_cli(
        "ingest", library, "--exclude", "*kick*", settings={"CRATESORT_EXCLUDE": "*snare*,*hat*"}
    )
    names = [row["path"].rpartition("/")[2].lower() for row in read_results()]
    assert "excluded" in done.stdout
    assert names
    assert not [name for name in names if any(word in name for word in ("kick", "snare", "hat"))]


def test_a_table_in_a_file_has_complete_paths_and_a_terminal_their_ends(run_cli, library):
    run_cli("ingest", library)
    paths = [line.split("  ")[0] for line in run_cli("results").stdout.splitlines()[1:]]
    assert [path for path in paths if path] == sounds_in(library)
    narrow = run_cli("results", settings={"COLUMNS": "80"}).stdout.splitlines()
    assert all(len(line) <= 80 for line in narrow)
    assert any("…" in line for line in narrow)


def test_without_a_terminal_standard_error_is_empty(run_cli, library):
    assert run_cli("ingest", library).stderr == ""


def test_all_data_is_in_the_users_data_folder(run_cli, library, tmp_path):
    run_cli("ingest", library)
    found = {path.relative_to(tmp_path) for path in tmp_path.rglob("*cratesort*")}
    data_folder = Path(".local", "share", "cratesort")
    assert found == {data_folder, data_folder / "cratesort.db"}


def test_json_prints_one_object_with_the_keys_of_the_contract(run_cli, library):
    count = len(sounds_in(library))

    done = run_cli("ingest", library, "--json")

    report = json.loads(done.stdout)
    assert set(report) == INGEST_KEYS
    assert report["found"] == report["enqueued"] == report["classified"] == count
    assert (report["skipped_unchanged"], report["failed"], report["ignored"]) == (0, 0, 1)


def test_json_without_waiting_omits_unknown_counts(ingest_json, library):
    report = ingest_json(library, "--no-wait")
    assert set(report) == INGEST_KEYS - {"classified", "failed", "seconds"}
    assert report["enqueued"] == report["found"] > 0


def test_a_second_run_skips_everything(ingest_json, library):
    first = ingest_json(library)
    second = ingest_json(library)
    assert second["skipped_unchanged"] == second["found"] == first["found"]
    assert second["enqueued"] == second["classified"] == 0


def test_only_a_changed_file_is_classified_again(ingest_json, own_library, read_results):
    # Given a library that was classified
    ingest_json(own_library)
    before = {row["path"]: row for row in read_results()}

    # When one of its sounds is replaced by another
    changed, other = own_library / "free stuff" / "snare-03.wav", next(own_library.rglob("*.flac"))
    shutil.copyfile(other, changed)
    report = ingest_json(own_library)

    # Then it alone was visited, and its row tells of the new file
    assert report["enqueued"] == 1
    after = {row["path"]: row for row in read_results()}
    assert after[str(changed)]["file_size"] == other.stat().st_size
    assert {path for path in before if before[path] != after[path]} == {str(changed)}


def test_a_file_with_only_a_new_modification_time_is_classified_again(ingest_json, own_library):
    ingest_json(own_library)
    os.utime(own_library / "free stuff" / "snare-03.wav", ns=(1, 1))
    assert ingest_json(own_library)["enqueued"] == 1


def test_a_new_file_in_a_known_folder_is_classified(ingest_json, own_library, read_results):
    found = ingest_json(own_library)["found"]
    shutil.copy(own_library / "free stuff" / "snare-03.wav", own_library / "snare new.wav")
    assert ingest_json(own_library)["enqueued"] == 1
    assert len(read_results()) == found + 1


def test_a_nested_folder_reuses_the_rows_of_its_parent(ingest_json, library):
    ingest_json(library)
    report = ingest_json(library / "free stuff")
    assert report["skipped_unchanged"] == report["found"] > 0


def test_two_folders_can_be_ingested_at_once(ingest_json, library):
    packs = [folder for folder in library.iterdir() if folder.is_dir()][:2]
    assert ingest_json(*packs)["found"] == sum(len(sounds_in(pack)) for pack in packs)


def test_a_folder_given_twice_is_walked_once(ingest_json, library):
    pack = library / "free stuff"
    assert ingest_json(library, pack, library)["found"] == len(sounds_in(library))


def test_reclassify_visits_unchanged_files_again(ingest_json, library):
    found = ingest_json(library)["found"]
    assert ingest_json(library, "--reclassify")["classified"] == found


def test_reclassify_below_visits_only_low_confidence_sounds(ingest_json, library, read_results):
    ingest_json(library)
    confidences = [row["confidence"] for row in read_results()]
    middle = round(statistics.median(confidences), 2)
    unsure = sum(confidence < middle for confidence in confidences)
    assert 0 < unsure < len(confidences)
    assert ingest_json(library, "--reclassify", "--below", str(middle))["enqueued"] == unsure


def test_reclassify_model_older_visits_nothing_while_the_model_is_the_same(ingest_json, library):
    ingest_json(library)
    assert ingest_json(library, "--reclassify", "--model-older")["enqueued"] == 0


def test_small_batches_give_the_same_rows_as_a_large_one(
    ingest_json, library, read_results, tmp_path
):
    def rows(size):
        settings = {
            "CRATESORT_BATCH_SIZE": size,
            "CRATESORT_DATABASE_URL": f"sqlite:///{tmp_path / size}.db",
        }
        ingest_json(library, settings=settings)
        return [row | {"classified_at": None} for row in read_results(settings=settings)]

    assert rows("7") == rows("1000")


def test_the_733_real_sounds_all_get_a_category(run_cli, read_results, shared_audio):
    done = run_cli("ingest", shared_audio / "library")
    assert done.code == 0, done.stderr
    assert len(read_results()) == 733
    assert read_results("--failed") == []


def test_the_15_real_unreadable_files_get_a_row_each(run_cli, read_results, shared_audio):
    done = run_cli("ingest", shared_audio / "unreadable")

    assert done.code == 1
    rows = read_results()
    assert len(rows) == 15
    failed = [row["path"] for row in rows if row["error_code"]]
    assert len([path for path in failed if path.endswith(".wav")]) == 12
    assert all(row["error_message"] for row in rows if row["error_code"])
    assert run_cli("ingest", shared_audio / "unreadable").code == 1  # known, and still without one
