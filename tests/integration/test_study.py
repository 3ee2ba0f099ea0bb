"""A study from a table to a folder: what is compared with what, and what is left on disk."""

import csv
import json
import re
import resource
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("jinja2")

from classifier.categories import CATEGORIES
from tests.support import labelled_tables
from tests.support.command_line import clean_environment
from tests.support.fitted import REFERENCE_BATCH_SIZE, fits_made_small
from tests.support.places import REPOSITORY
from training.baselines.published_method import EPOCHS
from training.data.csv_tables import read_counted
from training.errors import TrainingError
from training.phase_progress import no_progress
from training.reports.atomic_write import ReportError, require_writable, write_whole
from training.study import comparison
from training.study.comparison import run_study
from training.study.report import write_report
from training.study.table_profile import analyse

pytestmark = pytest.mark.tensorflow

SYSTEMS = [
    "naive_bayes",
    "tfidf_forest",
    "reference_lstm",
    "reference_stack_in_sample",
    "cratesort",
]

TIMES = ("fit_seconds", "predict_seconds")


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """Study a table of these lines; the sounds and what was found."""

    def studied(lines, columns=labelled_tables.COLUMNS, progress=no_progress, seed=3):
        path = labelled_tables.write(tmp_path_factory.mktemp("table") / "t.csv", lines, columns)
        sounds, counts = read_counted(str(path))
        with fits_made_small():
            found = run_study(
                sounds,
                counts,
                seed=seed,
                n_folds=2,
                reference_batch_size=REFERENCE_BATCH_SIZE,
                progress=progress,
            )
        return sounds, found

    return studied


@pytest.fixture(scope="module")
def phases():
    return []


@pytest.fixture(scope="module")
def three_vendors(studied, phases, study_by_command):
    """The command's study again, as objects. For reading only."""
    return studied(
        study_by_command.lines,
        progress=lambda phase, done, total: phases.append((phase, done, total)),
        seed=study_by_command.seed,
    )


@pytest.fixture(scope="module")
def report(study_by_command):
    """The command's report: its folder, and the names of its files."""
    folder = study_by_command.report
    return folder, [path.name for path in folder.iterdir()]


@pytest.fixture(scope="module")
def names_alone(studied):
    """A study of names and categories, whose vendors are not known."""
    rows = [line.split(",") for line in labelled_tables.rows()]
    lines = [f"{row[0]},{i} {row[1].split('_')[1]}.wav" for i, row in enumerate(rows)]
    return studied(lines, columns="category,file_path")


@pytest.fixture(scope="module")
def names_alone_page(names_alone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("names-alone")
    write_brief_report(folder, names_alone[1], names_alone[0])
    return folder


def as_json(found):
    return json.loads(json.dumps(found.as_dict()))


def write_brief_report(folder, found, sounds, source="t.csv"):
    """Write a report on two systems, for drawing five costs more than studying them."""
    brief = replace(found, by_vendor=found.by_vendor[-2:], at_random=found.at_random[-2:])
    names = write_report(str(folder), brief, sounds, source=source, created="today")
    assert {*names} <= {path.name for path in folder.iterdir()}
    assert json.loads((folder / "metrics.json").read_text()) == as_json(brief)


def without_times(figures):
    if isinstance(figures, dict):
        return {key: without_times(value) for key, value in figures.items() if key not in TIMES}
    return [without_times(one) for one in figures] if isinstance(figures, list) else figures


# What is compared


def test_all_five_systems_predict_the_same_rows(three_vendors):
    sounds, found = three_vendors
    for results in (found.by_vendor, found.at_random):
        assert [result.system.name for result in results] == SYSTEMS
        supports = {
            tuple(score.support for score in result.evaluation.categories) for result in results
        }
        assert len(supports) == 1
    assert {result.evaluation.n_sounds for result in found.by_vendor} == {len(sounds)}


def test_the_random_split_is_the_published_one(three_vendors):
    # Given 54 sounds, a third of whom (18) are held out and a fifth of the rest (8) validate
    _, found = three_vendors
    assert {result.evaluation.n_sounds for result in found.at_random} == {18}
    assert {result.validation.n_sounds for result in found.at_random} == {8}
    assert {result.validation for result in found.by_vendor} == {None}


def test_no_system_saw_the_vendors_it_is_tested_on(studied):
    # Given vendors who share no word at all
    lines = [
        f"{category},{word}_{number:02}.wav,{vendor}"
        for vendor, words in {"ann": ("qua", "wex"), "bob": ("zup", "yok")}.items()
        for category, word in zip(("drum", "vocal"), words, strict=True)
        for number in range(12)
    ]
    _, found = studied(lines, columns="category,file_path,vendor")
    by_vendor, known = (
        {result.system.name: result.evaluation.accuracy for result in results}
        for results in (found.by_vendor, found.at_random)
    )
    # Then who learned one's words knows nothing of the other's, and all of the words it has seen
    assert by_vendor["tfidf_forest"] <= 0.5
    assert known["tfidf_forest"] == 1.0


def test_the_stacks_fit_includes_its_lstms(three_vendors):
    _, found = three_vendors
    for results in (found.by_vendor, found.at_random):
        seconds = {result.system.name: result.fit_seconds for result in results}
        assert seconds["reference_stack_in_sample"] > seconds["reference_lstm"]


def test_each_system_is_reported_by_fold_and_vendor(three_vendors):
    sounds, found = three_vendors
    for result in found.by_vendor:
        shares = [fold.accuracy * fold.n_sounds for fold in result.by_split]
        assert len(shares) == found.n_folds == 2
        assert sum(shares) == pytest.approx(result.evaluation.accuracy * len(sounds))
        right = [v.accuracy[result.system.name] * v.sounds for v in found.vendor_accuracies]
        assert sum(right) == pytest.approx(result.evaluation.accuracy * len(sounds))
        spread = result.spread("accuracy")
        assert spread.lowest <= spread.mean <= spread.highest


def test_our_system_is_measured_without_each_of_its_inputs(three_vendors):
    _, found = three_vendors
    by_name = {result.system.name: result for result in found.ablations}
    assert list(by_name) == ["name_only", "header_only", "no_mates", "no_general_lstm"]
    # Given two kinds of headers, a model of headers alone gives two answers in a fold
    header_only = by_name["header_only"]
    for fold in range(found.n_folds):
        answers = header_only.probabilities[header_only.split_of == fold]
        assert len(np.unique(answers, axis=0)) == 2
    # And names that say all need no header
    assert by_name["name_only"].evaluation.accuracy > header_only.evaluation.accuracy


def test_the_reference_lstm_is_measured_after_each_epoch(three_vendors):
    first, *_, last = three_vendors[1].lstm_epochs
    assert len(three_vendors[1].lstm_epochs) == EPOCHS
    assert last.loss < first.loss


def test_progress_reaches_its_total_in_both_phases(three_vendors, phases):
    assert list(dict.fromkeys(phase for phase, _, _ in phases)) == [
        "cross-validation by vendor",
        "random split",
    ]
    for name in ("cross-validation by vendor", "random split"):
        steps = [(done, total) for phase, done, total in phases if phase == name]
        assert [done for done, _ in steps] == list(range(steps[0][1] + 1))


def test_the_same_table_and_seed_give_the_same_figures(report, three_vendors):
    first = json.loads((report[0] / "metrics.json").read_text())
    assert without_times(first) == without_times(as_json(three_vendors[1]))


# Tables that leave something out


def test_one_vendor_is_studied_at_random_and_the_page_names_what_is_missing(
    names_alone, names_alone_page
):
    _, found = names_alone
    assert len(found.analysis.vendors) == 1
    assert found.by_vendor == ()
    assert found.by_vendor_skipped.startswith("vendors cannot be identified: there is no column")
    assert found.n_folds == 0
    assert "with --group COLUMN" in (names_alone_page / "report.html").read_text()
    assert not list(names_alone_page.glob("by-vendor*"))


def test_a_vendor_with_nearly_all_rows_cannot_be_held_out(studied):
    lines = [*labelled_tables.rows(vendors=("ann",)), "drum,other.wav,,,,,,,bob"]
    assert studied(lines)[1].by_vendor_skipped == comparison.ALMOST_ONE_VENDOR


def test_a_table_of_only_names_and_categories_is_studied(names_alone, names_alone_page):
    assert names_alone[1].analysis.headers == ()
    assert "has no header values" in (names_alone_page / "report.html").read_text()


def test_names_without_any_word_are_studied(studied):
    lines = [f"{category},{i}.wav" for i, category in enumerate(["drum", "bass"] * 5)]
    _, found = studied(lines, columns="category,file_path")
    assert [result.evaluation.n_sounds for result in found.at_random] == [4] * 5


def test_a_hostile_vendor_name_is_escaped_in_page_and_json(three_vendors, tmp_path):
    hostile = '<img src=x onerror="alert(1)">$\\frac\u202e'
    lines = labelled_tables.rows(vendors=("ann", hostile))
    sounds, counts = read_counted(str(labelled_tables.write(tmp_path / "t.csv", lines)))
    found = replace(three_vendors[1], analysis=analyse(sounds, counts))
    write_brief_report(tmp_path, found, sounds, source=f"{hostile}.csv")
    page = (tmp_path / "report.html").read_text()
    assert "<img" not in page
    assert "&lt;img src=x" in page
    assert "\u202e" not in page
    vendors = json.loads((tmp_path / "metrics.json").read_text())["analysis"]["vendors"]
    assert {row["vendor"] for row in vendors} == {"ann", hostile.replace("\u202e", "\\u202e")}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "no labelled sounds; at least two categories"),
        (labelled_tables.rows(categories=("drum",)), "have the category drum; at least two"),
        (labelled_tables.rows(("ann",), ("drum", "vocal"), of_each=2), "at least 5"),
    ],
)
def test_too_few_sounds_to_compare_are_refused_with_a_message(studied, lines, reason):
    with pytest.raises(TrainingError, match=reason):
        studied(lines)


# What is left on disk


def test_each_prediction_is_a_row_with_its_truth_its_vendor_and_its_fold(report, three_vendors):
    with (report[0] / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    sounds, found = three_vendors
    for split, results in (("by_vendor", found.by_vendor), ("random", found.at_random)):
        of_split = [row for row in rows if row["split"] == split]
        assert len(of_split) == results[0].evaluation.n_sounds
        for result in results:
            name = result.system.name
            right = [row[name] == row["truth"] for row in of_split]
            assert np.mean(right) == pytest.approx(result.evaluation.accuracy)
            assert all(0 < float(row[f"{name}_confidence"]) <= 1 for row in of_split)
    vendors = dict(zip(sounds.names, sounds.vendors, strict=True))
    assert all(row["vendor"] == vendors[row["file"]] for row in rows)
    folds = {(row["vendor"], row["fold"]) for row in rows if row["split"] == "by_vendor"}
    assert len(folds) == len(set(sounds.vendors))


def test_the_page_states_that_our_system_also_reads_pack_mates(report, names_alone_page):
    sentence = "read the names of pack-mates, the other sounds in the same folder"
    assert sentence in (report[0] / "report.html").read_text()
    assert sentence in (names_alone_page / "report.html").read_text()


def test_the_folder_holds_the_page_the_numbers_and_every_figure(report):
    folder, names = report
    assert sorted(names) == sorted(path.name for path in folder.iterdir())
    assert {"report.html", "metrics.json", "rows.png", "headers.png", "vendors.png"} <= set(names)
    for split in ("by-vendor", "random"):
        for system in SYSTEMS:
            assert f"{split}-confusion-{system}.png" in names
    assert all((folder / n).read_bytes()[:4] == b"\x89PNG" for n in names if n.endswith(".png"))


def test_the_page_embeds_every_figure(report):
    folder, names = report
    page = (folder / "report.html").read_text()
    assert page.count("<svg") == len([name for name in names if name.endswith(".png")])
    assert "://" not in page
    assert not re.search(r"<(script|img|link|iframe|object|embed)\b", page)


def test_the_page_shows_unseen_vendors_first_and_the_figures_of_both_splits(report, three_vendors):
    _, found = three_vendors
    page = (report[0] / "report.html").read_text()
    assert page.index("<h2>Unseen vendors</h2>") < page.index("<h2>Known vendors</h2>")
    for result in (*found.by_vendor, *found.at_random):
        assert f"{result.evaluation.macro_precision:.3f}" in page
        assert f"{result.evaluation.coverage_at_95_precision:.3f}" in page
    assert f"{found.at_random[-1].validation.macro_f1:.3f}" in page


def test_the_numbers_are_those_of_the_study_in_strict_json(report, three_vendors):
    def refuse(constant):
        raise AssertionError(constant)

    text = (report[0] / "metrics.json").read_text()
    numbers = json.loads(text, parse_constant=refuse)
    assert without_times(numbers) == without_times(as_json(three_vendors[1]))


TYPES = {
    "integer": int,
    "number": (int, float),
    "text": str,
    "object": dict,
    "list": list,
    "text or null": (str, type(None)),
    "object or null": (dict, type(None)),
}


def documented():
    """The keys of each section of the page on metrics.json, with their types."""
    page = (REPOSITORY / "docs" / "reference" / "study-files.md").read_text()
    return {
        section.splitlines()[0]: dict(re.findall(r"^\| `(\w+)` \| ([a-z ]+?) \|", section, re.M))
        for section in page.split("\n### ")[1:]
    }


def test_the_numbers_are_as_documented(report):
    metrics = json.loads((report[0] / "metrics.json").read_text())
    results = [*metrics["by_vendor"], *metrics["random"], *metrics["ablations"]]
    evaluations = [result["evaluation"] for result in results]
    evaluations += [result["validation"] for result in metrics["random"]]
    objects = {
        "The file": [metrics],
        "A result": results,
        "A fold": [one for result in results for one in result["folds"]],
        "An evaluation": evaluations,
        "A bin of confidence": [one for e in evaluations for one in e["reliability"]],
        "A category's score": [one for e in evaluations for one in e["categories"]],
        "The analysis": [metrics["analysis"]],
        "A category's rows": metrics["analysis"]["categories"],
        "A header's statistics": metrics["analysis"]["headers"],
        "A vendor's rows": metrics["analysis"]["vendors"],
        "An epoch of the LSTM": metrics["lstm_epochs"],
        "A vendor's accuracy": metrics["vendor_accuracies"],
        "A kind of mistake": metrics["surest_mistakes"],
        "A suspected label": metrics["suspected_labels"],
    }
    assert set(documented()) == set(objects)
    for section, types in documented().items():
        for one in objects[section]:
            assert set(one) == set(types), section
            wrong = [key for key, kind in types.items() if not isinstance(one[key], TYPES[kind])]
            assert wrong == [], section
    assert [row["category"] for row in metrics["analysis"]["categories"]] == list(CATEGORIES)


def test_a_folder_that_cannot_be_created_is_refused_by_name(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ReportError, match=r"cannot write reports to .*file/report: Not a dir"):
        require_writable(str(tmp_path / "file" / "report"))


def test_a_file_is_replaced_atomically(tmp_path):
    path = tmp_path / "report.html"
    write_whole(str(path), b"old")
    write_whole(str(path), b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_keeps_the_old_file_and_leaves_no_partial_one(tmp_path):
    # Given a process that may write no more than 4 kB into a file, as if the disk were full there
    path = tmp_path / "report.html"
    path.write_bytes(b"old")
    code = (
        "import sys\n"
        "from training.reports.atomic_write import ReportError, write_whole\n"
        "try:\n"
        "    write_whole(sys.argv[1], b'x' * 100_000)\n"
        "except ReportError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path],
        env=clean_environment(tmp_path, {}),
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    # Then one line reports it, and existing files are unchanged
    assert done.stdout == f"cannot write {path}: File too large\n", done.stderr
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
