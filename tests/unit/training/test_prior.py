"""The prior that ships, and how a fit goes on from one."""

import io
from collections import Counter
from importlib import resources

import numpy as np
import pytest

pytest.importorskip("pandas")

from classifier.headers.reader import AudioHeader
from classifier.names.tokens import tokenise
from training.data.dataset import LabelledSounds
from training.prior.generation import generate_sounds
from training.prior.naming import load_naming
from training.prior.pretrained import PRIOR_FILE, generated_prior, starter_prior

pytestmark = pytest.mark.tensorflow

NOTHING = AudioHeader(None, None, None, None, None, None)


def labelled(n_vendors, of_each):
    n_sounds = n_vendors * of_each
    return LabelledSounds.from_rows(
        [f"kick_{i}.wav" for i in range(n_sounds)],
        [NOTHING] * n_sounds,
        ["drum"] * n_sounds,
        [f"vendor {i % n_vendors}" for i in range(n_sounds)],
    )


def test_the_shipped_prior_knows_the_words_of_the_current_naming():
    sounds = generate_sounds(load_naming(), 100, seed=1)
    counts = Counter(word for name in sounds.names for word in set(tokenise(name)))
    common = {word for word, n_names in counts.items() if n_names >= 5}
    assert len(common) > 100
    assert common <= set(generated_prior().words)


@pytest.mark.release
def test_the_shipped_prior_was_trained_with_the_current_naming_and_generator():
    # A change of training/prior/naming.toml or of the generator: `make prior`, then `make starter`.
    from training.maintainer.teach_prior import learned_from

    packed = resources.files("training.prior").joinpath(PRIOR_FILE).read_bytes()
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        assert str(arrays["learned_from"]) == learned_from()


def test_both_priors_have_the_same_word_ids():
    for prior in (generated_prior(), starter_prior()):
        assert len(set(prior.words)) == len(prior.words)
    assert starter_prior().words[: len(generated_prior().words)] == generated_prior().words


def test_with_few_labels_most_starter_trees_are_kept_and_learning_is_slow():
    few, many = starter_prior().recipe(labelled(1, 100)), starter_prior().recipe(labelled(80, 100))
    assert few.kept_trees > 32
    assert many.kept_trees < few.kept_trees / 3
    assert few.learning_rate < many.learning_rate


def test_the_recipe_depends_on_vendors_not_on_the_number_of_labels():
    prior = starter_prior()
    assert prior.recipe(labelled(1, 10_000)) == prior.recipe(labelled(1, 200))


def test_a_prior_without_vendors_keeps_no_trees():
    assert generated_prior().recipe(labelled(3, 10)).kept_trees == 0
    assert generated_prior().forest is None


def test_generated_rows_have_a_pseudo_vendor():
    vendors = set(generated_prior().stacked.vendors) | set(generated_prior().replayed.vendors)
    assert vendors == {"(generated)"}
    assert np.isfinite(np.concatenate([part.ravel() for part in generated_prior().start])).all()
