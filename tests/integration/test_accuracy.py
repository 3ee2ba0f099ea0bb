"""Accuracy by vendor from two tables to a terminal: what is compared, and what is printed."""

import dataclasses
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("sklearn")

from tests.support import labelled_tables
from tests.support.fitted import fits_made_small
from training.evaluation.confident_errors import (
    N_EXAMPLES,
    ErrorKind,
    Example,
    most_confident_errors,
)
from training.maintainer import accuracy
from training.maintainer.accuracy_text import as_text
from training.maintainer.corpus_pair import read_two_tables
from training.maintainer.measurement import OURS, REFERENCE, SYSTEMS, Measurement, Table, measure
from training.phase_progress import no_progress

pytestmark = pytest.mark.tensorflow

NAMES_COLUMNS = "category,file_path,vendor_group,source_repo,in_corpus"


def names_rows(vendors=("L", "M", "N")):
    return [
        f"{category},{vendor}-{word}-{number}.wav,{vendor},elsewhere,0"
        for vendor in vendors
        for category, words in labelled_tables.WORDS.items()
        for word in words
        for number in range(2)
    ]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    return (
        str(labelled_tables.write(folder / "corpus.csv", labelled_tables.rows())),
        str(labelled_tables.write(folder / "names.csv", names_rows(), NAMES_COLUMNS)),
    )


@pytest.fixture(scope="module")
def steps():
    return []


@pytest.fixture(scope="module")
def found(paths, steps):
    with fits_made_small():
        return measure(
            read_two_tables(*paths),
            tables=tuple(Table),
            systems=SYSTEMS,
            seed=3,
            n_folds=2,
            reference_batch_size=8,
            progress=lambda phase, done, total: steps.append((phase, done, total)),
        )


# What is compared


def test_three_systems_predict_the_same_sounds_of_both_tables(found):
    for table, n_sounds in ((Table.CORPUS, 36), (Table.NAMES, 36)):
        scores = found.by_vendor[table]
        assert [score.system.name for score in scores.systems] == list(SYSTEMS)
        assert {score.evaluation.n_sounds for score in scores.systems} == {n_sounds}
        assert (scores.n_vendors, scores.systems[-1].n_fits) == (3, 2)


def test_a_random_third_of_the_first_table_tests_the_trained_systems(found):
    assert [score.system.name for score in found.at_random.systems] == [REFERENCE, OURS]
    assert {score.evaluation.n_sounds for score in found.at_random.systems} == {12}


def test_training_uses_the_other_table(tmp_path, small_fits):
    # Given categories whose words only the other table explains
    words = {"drum": "qua", "vocal": "wex"}

    def rows(vendors, more=""):
        return [
            f"{category},{word} {vendor} {number}.wav,{vendor}{more}"
            for vendor in vendors
            for category, word in words.items()
            for number in range(8)
        ]

    corpus = [row for row in rows(["ann"]) if "drum" in row]
    corpus += [row for row in rows(["bob"]) if "vocal" in row]
    paths = (
        labelled_tables.write(tmp_path / "c.csv", corpus, "category,file_path,vendor"),
        labelled_tables.write(tmp_path / "n.csv", rows(["L", "M"], more=",x,0"), NAMES_COLUMNS),
    )
    measured = measure(
        read_two_tables(*map(str, paths)),
        tables=[Table.CORPUS],
        systems=[REFERENCE],
        seed=0,
        n_folds=2,
        reference_batch_size=8,
        progress=no_progress,
    )
    # Then the one vendor of each category is known by what the others call it
    assert measured.by_vendor[Table.CORPUS].systems[0].evaluation.accuracy > 0.9
    assert list(measured.by_vendor) == [Table.CORPUS]


def test_progress_reaches_its_total_in_each_phase(found, steps):
    phases = list(dict.fromkeys(phase for phase, _, _ in steps))
    assert phases == ["corpus by vendor", "names by vendor", "random split"]
    for name in phases:
        of_phase = [(done, total) for phase, done, total in steps if phase == name]
        assert [done for done, _ in of_phase] == list(range(of_phase[0][1] + 1))


def test_the_most_confident_errors_are_grouped_by_kind(paths):
    # Given 60 drums called vocal, ever less surely, one surely called bass, and one right answer
    sounds = read_two_tables(*paths).corpus
    drums = sounds.take(np.repeat(np.flatnonzero(sounds.category_indices == 2)[:1], 62))
    drums.names[:] = [f"{'abcdef'[number // 10]}_kick{number}.wav" for number in range(60)] + [
        "low.wav",
        "right.wav",
    ]
    answers = np.zeros((62, 12), dtype=np.float32)
    answers[np.arange(60), 11] = np.linspace(0.9, 0.6, 60)
    answers[60, 0] = 0.95
    answers[61, 2] = 1.0
    kinds = most_confident_errors(drums, answers)
    # Then both kinds are there, the frequent one first, with its surest examples
    assert [(kind.truth, kind.answer) for kind in kinds] == [("drum", "vocal"), ("drum", "bass")]
    assert [(kind.among_surest, kind.in_all) for kind in kinds] == [(6, 60), (1, 1)]
    shown = [example.confidence for example in kinds[0].examples]
    assert len(shown) == N_EXAMPLES
    assert shown == sorted(shown, reverse=True)
    # And of names that differ by a number alone one counts
    assert [example.name for example in kinds[0].examples] == [
        "a_kick0.wav",
        "b_kick10.wav",
        "c_kick20.wav",
    ]
    assert [example.name for example in kinds[1].examples] == ["low.wav"]


# What is printed


def test_figures_are_printed_in_80_columns(found):
    text = as_text(found, with_mistakes=True)
    assert max(map(len, text.splitlines())) <= 80
    assert text.isascii()
    for scores in (*found.by_vendor.values(), found.at_random):
        for score in scores.systems:
            evaluation = score.evaluation
            figures = [evaluation.accuracy, evaluation.macro_f1, evaluation.top3_accuracy]
            row = rf"{score.system.title} +" + " +".join(f"{figure:.3f}" for figure in figures)
            assert re.search(row, text)
    for category in found.by_vendor[Table.NAMES].systems[-1].evaluation.categories:
        assert re.search(rf"{category.category} +{category.precision:.3f} ", text)


def with_mistake(found, name):
    """The comparison with one mistake about a sound of this name."""
    kind = ErrorKind("drum", "vocal", 1, 1, (Example(name, "ann", 0.875),))
    scores = dataclasses.replace(found.by_vendor[Table.CORPUS], mistakes=(kind,))
    return Measurement(found.seed, 1, {Table.CORPUS: scores}, None)


def test_a_long_or_hostile_name_stays_on_its_line(found):
    text = as_text(with_mistake(found, "\x1b[2J\n" + "x" * 200), with_mistakes=True)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) == 80
    assert "  drum -> vocal: 1 (all errors: 1)\n    0.88  \\x1b[2J\\x0axxx" in text


def test_mistakes_are_omitted_on_request(found):
    assert "most confident" not in as_text(with_mistake(found, "kick.wav"), with_mistakes=False)


# The command


@pytest.fixture
def run(paths):
    """Run the command on the tables, or on others."""

    def run(*options, tables=paths):
        return CliRunner().invoke(accuracy.main, [*tables, "--folds", "2", *options])

    return run


def test_the_command_prints_one_json_object_and_progress_on_standard_error(run):
    done = run("--systems", "keyword", "--json")
    assert done.exit_code == 0
    printed = json.loads(done.stdout)
    assert set(printed["by_vendor"]) == {"corpus", "names"}
    systems = printed["by_vendor"]["names"]["systems"]
    assert [system["system"] for system in systems] == ["keyword"]
    assert printed["random"] is None
    assert "names by vendor: 2 of 2" in done.stderr


def test_the_command_can_test_one_table(run):
    done = run("--systems", "keyword", "--table", "names")
    assert done.exit_code == 0
    assert done.stdout.startswith("Names only, unseen vendors\n  36 sounds of 3 vendors, 2 folds")
    assert "Names and headers" not in done.stdout
    assert "most confident errors of keyword list" in done.stdout


def test_an_unusable_table_is_refused_in_one_line(run, paths, tmp_path):
    done = run(tables=(paths[0], str(tmp_path / "absent.csv")))
    assert done.exit_code == 2
    assert re.fullmatch(r".*absent\.csv cannot be read as a CSV table.*\n", done.stderr)


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        (["--systems", "lstm"], "expected reference, keyword, ours"),
        (["--reference-batch-size", "0"], "not in the range x>=1"),
        (["--table", "all"], "not one of 'corpus', 'names', 'both'"),
    ],
)
def test_a_wrong_option_is_refused_with_the_possible_ones(run, option, complaint):
    done = run(*option)
    assert done.exit_code == 2
    assert complaint in done.stderr
