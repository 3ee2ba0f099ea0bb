"""Retraining from the labels of a database: what is learned, compared, and refused."""

from itertools import islice, product

import numpy as np
import pytest

pytest.importorskip("pandas")

from sqlalchemy import update

from classifier.bundle.load import load_classifier, read_manifest
from classifier.bundle.starter import starter_bundle
from classifier.categories import CATEGORIES
from classifier.errors import BundleError
from classifier.headers.reader import AudioHeader
from db.engine import create_engine
from db.migrate import upgrade
from db.registry import bundles
from db.states import RunTrigger, RunVerdict
from db.tables import models
from tests.support.bundles import called
from tests.support.databases import connected
from tests.support.fitted import accuracy_and_f1, fits_made_small, prior_after
from tests.support.labelled_rows import add_labelled
from training.data.dataset import LabelledSounds
from training.errors import TrainingError
from training.fit.stack_fit import StackFitter
from training.phase_progress import no_progress
from training.runs.from_labels import retrain_labels
from training.runs.run import perform

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("small_fits")]

#: Words that are in no vocabulary.
CODES = {"drum": "zorp", "vocal": "quib", "effects": "flarn"}


def header(seconds):
    frames = int(seconds * 44_100)
    return AudioHeader(frames * 2, seconds, 44_100, 1, frames, "PCM_16")


def coded(vendors, n_packs=8, of_each=4, codes=CODES):
    """Sounds of vendors who share a code of their own."""
    rows = []
    for vendor in vendors:
        for pack in range(n_packs):
            for category, code in codes.items():
                for i in range(of_each):
                    name = f"{vendor}_{code}_{pack}_{i}.wav"
                    rows.append((vendor, f"pack {pack}", name, header(0.5 + 0.01 * i), category))
    return rows


def retrain(database, progress=no_progress, **options):
    return retrain_labels(database, version="challenger", seed=0, progress=progress, **options)


@pytest.fixture
def database(sqlite_url):
    """SQLite alone: that labels are read alike from both is `test_labelled_tables`' subject."""
    with connected(sqlite_url) as engine:
        yield engine


@pytest.fixture
def take_run(database):
    """Write a result as the run does that computed it; its model then serves."""

    def write(result):
        perform(
            database,
            lambda *_, **__: result,
            trigger=RunTrigger.HAND,
            slot=None,
            seed=0,
            lease_seconds=60,
            time_limit_seconds=60,
        )

    return write


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """A run over six vendors whose words the starter cannot know.

    For reading only; one test promotes the model in the database, which no other test reads.
    """
    url = f"sqlite:///{tmp_path_factory.mktemp('retrain') / 'labels.db'}"
    upgrade(url)
    database = create_engine(url)
    add_labelled(database, coded([f"vendor {i}" for i in range(6)]))
    phases = []
    with fits_made_small():
        result = retrain(database, progress=lambda *phase: phases.append(phase))
    yield database, result, phases
    database.dispose()


def test_a_model_that_learned_the_words_of_the_vendor_is_promoted(outcome):
    _, result, _ = outcome
    assert result.verdict == RunVerdict.PROMOTED, result.reason
    assert result.promote
    assert result.metrics["champion"]["macro_f1"] < 0.6
    assert result.metrics["challenger"]["macro_f1"] > 0.9
    assert result.reason.startswith("better in 100% of 2,000 bootstrap draws of packs")


def test_its_bundle_predicts_what_it_learned_and_names_its_vendors(outcome):
    _, result, _ = outcome
    classifier = load_classifier(result.bundle)
    (row,) = classifier.predict(["vendor 0_quib_9_07.wav"], [header(0.5)])
    assert CATEGORIES[row.argmax()] == "vocal"
    training = read_manifest(result.bundle).training
    starter = set(read_manifest(starter_bundle()).training["vendors"])
    assert starter < set(training["vendors"])
    assert any(vendor.startswith("vendor ") for vendor in training["vendors"])
    assert training["holdout"] == "frozen"
    assert training["temperature"] > 0


def test_the_run_records_its_training_and_holdout_sizes(outcome):
    _, result, phases = outcome
    sizes = result.sizes
    assert sizes["labelled"] == 576 == sizes["learned"] + sizes["held_out"]
    assert sizes["learned_per_category"]["drum"] + sizes["held_out_per_category"]["drum"] == 192
    assert [phase for phase, done, total in phases if done == total] == [
        "reading labels",
        "fitting",
        "comparing",
        "publishing",
    ]
    assert "promoted" in result.report_html


def test_the_next_run_uses_the_same_holdout_and_is_not_promoted(outcome):
    database, result, _ = outcome
    with database.begin() as connection:
        bundles.store(connection, version="challenger", bundle=result.bundle, metrics={})
        bundles.promote(connection, "challenger")
    again = retrain_labels(database, version="second", seed=0, progress=no_progress)
    assert again.metrics["champion_version"] == "challenger"
    for measure in ("n_sounds", "macro_f1", "macro_precision", "accuracy"):
        assert again.metrics["champion"][measure] == result.metrics["challenger"][measure]
    assert again.verdict == RunVerdict.KEPT
    assert again.bundle is not None  # a person may still promote it


def test_vendors_in_the_champions_training_data_do_not_count_as_unknown(database):
    # Given labels of vendors of the starter's alone
    vendors = read_manifest(starter_bundle()).training["vendors"]
    add_labelled(database, coded(vendors, n_packs=2, of_each=1))
    messages = []
    result = retrain(database, announce=messages.append)
    # Then there is nothing to compare on, which is reported before and after
    assert result.verdict == RunVerdict.STORED
    assert result.reason.startswith("too few sounds to compare on: ")
    assert "too few sounds to compare on" in result.report_html
    assert "fewer than 50 sounds in 5 folders are too few to decide" in messages[-2], messages


# A small library


def test_one_pack_of_one_vendor_is_compared_out_of_fold(database, take_run):
    # Given eight folders of one pack whose words the starter cannot know
    rows = [
        (vendor, "all", f"{pack}/{name}", *rest) for vendor, pack, name, *rest in coded(["mine"])
    ]
    add_labelled(database, rows)
    # When a model learns them
    messages = []
    result = retrain(database, announce=messages.append)
    # Then it is promoted for its predictions of folders it was not trained on
    assert result.verdict == RunVerdict.PROMOTED, result.reason
    assert (
        "on 96 of your sounds that neither model was trained on, grouped by folder" in result.reason
    )
    assert (result.sizes["learned"], result.sizes["held_out"]) == (96, 0)
    assert read_manifest(result.bundle).training["holdout"] == "none"
    assert messages[0].startswith(
        "96 labelled sounds; training sounds: 32 drum, 32 effects, 32 vocal"
    )
    assert messages[1].startswith("no labels yet for: bass, ")
    # And the next one has nothing to be compared on until there are new labels
    take_run(result)
    again = retrain(database)
    assert again.verdict == RunVerdict.STORED
    assert "the current model was not trained on 0 of" in again.reason


# Bad cases


def test_training_without_labels_fails_with_what_to_do(database):
    with pytest.raises(TrainingError, match=r"no labels to train on.*cratesort labels import"):
        retrain(database)


def test_labels_of_one_category_train_no_model(database):
    add_labelled(database, coded(["one", "two"], codes={"drum": "zorp"}))
    with pytest.raises(TrainingError, match=r"all .* training sounds have the category drum"):
        retrain(database)


def test_contradicting_labels_train_no_model(database):
    rows = [
        (vendor, "pack", "same.wav", header(1.0), category)
        for vendor, category in (("one", "drum"), ("two", "bass"))
    ]
    add_labelled(database, rows)
    with pytest.raises(TrainingError, match="all 2 labels contradict each other"):
        retrain(database)


def test_a_category_with_a_single_sound_is_accepted(database):
    single = ("vendor 1", "pack 1", "only_pad.wav", header(3.0), "synth")
    add_labelled(database, [*coded(["vendor 1", "vendor 2"], n_packs=2), single])
    result = retrain(database)
    counts = result.sizes
    both = counts["learned_per_category"]["synth"] + counts["held_out_per_category"]["synth"]
    assert both == 1


@pytest.mark.parametrize("damage", ["bytes", "hash"])
def test_a_damaged_champion_is_refused_and_kept(database, damage):
    add_labelled(database, coded(["vendor 1", "vendor 2"], n_packs=2))
    bundle = called("champion")
    with database.begin() as connection:
        bundles.store(connection, version="champion", bundle=bundle, metrics={})
        bundles.promote(connection, "champion")
        damaged = bundle[:-200] + b"x" * 200
        values = {"bundle": damaged} if damage == "bytes" else {"sha256": "0" * 64}
        connection.execute(update(models).values(**values))
    with pytest.raises(BundleError, match="champion"):
        retrain(database)
    with database.begin() as connection:
        assert bundles.champion_version(connection) == "champion"


# Few labels


def test_few_labels_improve_their_vendor_without_harming_others(small_prior):
    # Given a model that learned the words of two vendors
    old = varied(["ann", "bob"], CODES)
    base = StackFitter(small_prior, seed=0).fit(old)
    # When it learns two hundred sounds of one who calls the same things by other words
    theirs = varied(["cyd"], {"drum": "wexo", "vocal": "yumf", "effects": "ploi"}, of_each=100)
    drawn = np.random.default_rng(0).permutation(len(theirs))
    few, unlabelled = theirs.take(drawn[:200]), theirs.take(drawn[200:])
    before = [accuracy_and_f1(base, sounds) for sounds in (unlabelled, old)]
    learned = StackFitter(prior_after(base, small_prior), seed=0).fit(few)
    after = [accuracy_and_f1(learned, sounds) for sounds in (unlabelled, old)]
    # Then it knows more of that vendor's sounds, and hardly less of the others'
    assert min(after[0] - before[0]) > 0.03
    assert min(after[1] - before[1]) > -0.03


def varied(vendors, codes, of_each=50):
    """Sounds of vendors who have a word for each category, and another for each sound."""
    rows = [
        (f"{vendor}_{code}_{''.join(syllables)}.wav", category, vendor)
        for vendor in vendors
        for category, code in codes.items()
        for syllables in islice(product(*[["ka", "lo", "mi", "nu", "pe"]] * 3), of_each)
    ]
    names, categories, owners = map(list, zip(*rows, strict=True))
    return LabelledSounds.from_rows(names, [header(1.0)] * len(names), categories, owners)
