"""What only training of full size can prove; each takes minutes. See `tests.support.fitted`."""

import numpy as np
import pytest

pytest.importorskip("pandas")

import pandas as pd

from classifier.headers.reader import AudioHeader
from tests.support import labelled_tables
from tests.support.fitted import accuracy_and_f1, prior_after
from tests.support.places import SHARED
from training.data.csv_tables import read_table
from training.data.dataset import LabelledSounds
from training.fit.stack_fit import StackFitter
from training.prior.pretrained import generated_prior
from training.runs.from_table import train_bundle

pytestmark = [pytest.mark.tensorflow, pytest.mark.release, pytest.mark.timeout(900)]

CORPUS = SHARED / "corpus" / "corpus_public.csv.gz"
NAMES = SHARED / "corpus" / "names_public.csv.gz"


def test_the_same_table_and_seed_give_the_same_bundle(tmp_path):
    table = labelled_tables.write(tmp_path / "table.csv", labelled_tables.rows())
    sounds = read_table(str(table))
    first, second = (train_bundle(sounds, version="v", seed=5).bundle for _ in range(2))
    assert first == second


@pytest.mark.skipif(not CORPUS.exists(), reason=f"{CORPUS} is not here")
def test_the_public_corpus_trains_to_the_figures_of_the_model_card():
    outcome = train_bundle(read_table(str(CORPUS)), version="corpus", seed=0)
    assert outcome.random_split.accuracy > 0.94
    assert outcome.random_split.macro_f1 > 0.80
    assert outcome.by_vendor.accuracy > 0.85
    assert outcome.by_vendor.macro_f1 > 0.58
    assert outcome.manifest.training["forest_nodes"] <= 45_000
    assert len(outcome.bundle) < 8 * 2**20


@pytest.mark.skipif(not NAMES.exists(), reason=f"{NAMES} is not here")
def test_two_hundred_labels_improve_their_vendor_without_harming_others():
    # Given names as their table's description caps them
    table = pd.read_csv(NAMES, dtype=str, keep_default_na=False)
    table = table[(table.in_corpus != "1") & ~table.file_path.str.endswith(".mid")]
    table = table.drop_duplicates("file_path").sample(frac=1, random_state=7)
    is_theirs = table.vendor_group == "Producer Space"
    theirs = sounds_of(table[is_theirs])
    few, unlabelled = theirs.take(np.arange(200)), theirs.take(np.arange(200, len(theirs)))
    others = sounds_of(table[~is_theirs].groupby(["vendor_group", "category"]).head(40))
    # And a model that learned all vendors but one
    base = StackFitter(generated_prior(), seed=0).fit(others)
    before = [accuracy_and_f1(base, sounds) for sounds in (unlabelled, others)]
    # When it learns two hundred names of that one
    prior = prior_after(base, generated_prior())
    learned = StackFitter(prior, seed=0).fit(few)
    after = [accuracy_and_f1(learned, sounds) for sounds in (unlabelled, others)]
    # Then it knows more of that vendor's other names, and hardly less of the other vendors'
    assert min(after[0] - before[0]) > 0.03
    assert min(after[1] - before[1]) > -0.03


def sounds_of(table):
    nothing = AudioHeader(None, None, None, None, None, None)
    return LabelledSounds.from_rows(
        table.file_path.tolist(),
        [nothing] * len(table),
        table.category.tolist(),
        table.vendor_group.tolist(),
    )
