"""A training run from labelled sounds to a bundle that serves."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("pandas")

from classifier.bundle.load import load_classifier
from classifier.categories import CATEGORIES
from classifier.errors import CratesortError
from classifier.headers.reader import AudioHeader
from tests.support.fitted import fits_made_small
from training.data import splits
from training.data.dataset import LabelledSounds
from training.errors import TrainingError
from training.runs.from_table import train_bundle

pytestmark = pytest.mark.tensorflow

#: Three vendors who name kicks, pads and vocals each in their own way.
WORDS = {"drum": ["kick", "snare"], "synth": ["pad", "lead"], "vocal": ["vox", "choir"]}


def labelled(vendors=("ann", "bob", "cyd"), categories=tuple(WORDS), of_each=4):
    names, headers, labels, whose = [], [], [], []
    for vendor in vendors:
        for category in categories:
            for number in range(of_each):
                words = WORDS[category]
                names.append(f"{vendor}_{words[number % len(words)]}_{number:02}.wav")
                seconds = 0.3 if category == "drum" else 4.0
                frames = int(seconds * 44_100)
                headers.append(AudioHeader(frames * 2, seconds, 44_100, 1, frames, "PCM_16"))
                labels.append(category)
                whose.append(vendor)
    return LabelledSounds.from_rows(names, headers, labels, whose)


@pytest.fixture(scope="module")
def phases():
    return []


@pytest.fixture(scope="module")
def outcome(phases):
    """What a run over three vendors left behind. For reading only."""
    with fits_made_small():
        return train_bundle(
            labelled(of_each=12),
            version="try",
            seed=3,
            progress=lambda phase, done, total: phases.append((phase, done, total)),
        )


@pytest.mark.parametrize("engine", ["onnx", "keras"])
def test_both_engines_predict_what_the_bundle_learned(outcome, engine):
    classifier = load_classifier(outcome.bundle, engine)
    header = AudioHeader(26_460, 0.3, 44_100, 1, 13_230, "PCM_16")
    probabilities = classifier.predict(["ann_kick_05.wav"], [header])
    assert CATEGORIES[probabilities[0].argmax()] == "drum"


def test_general_knowledge_needs_no_label(outcome):
    nothing = AudioHeader(None, None, None, None, None, None)
    name = "QX_128_reese_bass_loop_deep_Fmin.wav"
    probabilities = load_classifier(outcome.bundle).predict([name], [nothing])
    assert CATEGORIES[probabilities[0].argmax()] == "bass-loop"


def test_generated_sounds_are_not_counted_among_the_sounds(outcome):
    assert outcome.manifest.training["sounds"] == 3 * 3 * 12


def test_every_sound_is_tested_by_a_model_not_trained_on_its_vendor(outcome):
    assert outcome.by_vendor is not None
    assert outcome.by_vendor.n_sounds == 3 * 3 * 12
    assert outcome.random_split.n_sounds == 36


def test_the_manifest_has_the_vendors_the_sizes_and_the_figures(outcome):
    assert outcome.manifest.version == "try"
    assert outcome.manifest.training["vendors"] == ["ann", "bob", "cyd"]
    assert outcome.manifest.training["sounds_per_category"]["drum"] == 36
    assert outcome.manifest.metrics["by_vendor"]["accuracy"] == outcome.by_vendor.accuracy


def test_progress_reaches_its_total_in_every_phase(outcome, phases):
    names = list(dict.fromkeys(phase for phase, _, _ in phases))
    assert names == [
        "cross-validation by vendor",
        "random split",
        "final model",
        "publishing",
    ]
    for name in names:
        steps = [(done, total) for phase, done, total in phases if phase == name]
        assert [done for done, _ in steps] == list(range(steps[0][1] + 1))
        assert {total for _, total in steps} == {steps[0][1]}


def test_the_same_sounds_and_seed_give_the_same_bundle(outcome, small_fits):
    again = train_bundle(labelled(of_each=12), version="try", seed=3)
    assert again.bundle == outcome.bundle


def test_one_vendor_is_trained_on_and_the_missing_measurement_is_explained(small_fits):
    outcome = train_bundle(labelled(vendors=("ann",)), version="v")
    assert outcome.by_vendor is None
    assert outcome.manifest.metrics["by_vendor_skipped"] == splits.NO_VENDORS
    assert outcome.manifest.metrics["by_vendor"] is None


@pytest.fixture(scope="module")
def from_awkward():
    """A run over sounds without any header, of a category with a single sound among others."""
    many, one = labelled(categories=("drum", "synth")), labelled(("ann",), ("vocal",), of_each=1)
    sounds = many.joined(one)
    silent = replace(sounds, headers=np.full_like(sounds.headers, np.nan))
    with fits_made_small():
        return train_bundle(silent, version="v")


def test_a_category_with_a_single_sound_can_be_trained_on(from_awkward):
    assert from_awkward.manifest.training["sounds_per_category"]["vocal"] == 1


def test_sounds_without_any_header_can_be_trained_on(from_awkward):
    header = AudioHeader(None, None, None, None, None, None)
    probabilities = load_classifier(from_awkward.bundle).predict(["ann_kick_05.wav"], [header])
    assert CATEGORIES[probabilities[0].argmax()] == "drum"


def test_no_labels_are_refused():
    with pytest.raises(TrainingError, match="no labelled sounds"):
        train_bundle(labelled(vendors=()), version="v")


def test_labels_of_one_category_only_are_refused_by_its_name():
    with pytest.raises(TrainingError, match="have the category drum"):
        train_bundle(labelled(categories=("drum",)), version="v")


def test_a_training_error_can_be_shown_by_the_command_line():
    assert issubclass(TrainingError, CratesortError)
