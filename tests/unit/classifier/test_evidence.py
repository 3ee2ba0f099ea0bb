"""What a category rests on: words that makers of sounds use, in the name or its pack-mates'."""

import numpy as np
import pytest

from classifier.categories import CATEGORIES, N_CATEGORIES
from classifier.model.confidence import (
    Calibration,
    KindCalibration,
    kinds_of,
    needs_review,
    word_counts,
)
from classifier.model.evidence import KINDS, Evidence, evidence_of
from classifier.names.tokens import tokenise

KICKS = [f"Kick {number}" for number in range(1, 9)]


def kind(name, category, mates=()):
    """The evidence for this category of a name among these, which include it."""
    own = word_counts([tokenise(name)])
    folder = word_counts([tokenise(mate) for mate in mates]).sum(axis=0, keepdims=True)
    predicted = np.array([CATEGORIES.index(category)])
    return KINDS[kinds_of(predicted, own, folder)[0]]


@pytest.mark.parametrize(
    ("name", "category", "evidence"),
    [
        ("Kick 01", "drum", Evidence.NAME),
        ("Bobby Brown Clap", "drum", Evidence.NAME),
        ("Bobby Brown Clap", "vocal", Evidence.CONTRADICTED),
        ("Kit 03 Clap", "kits-n-templates", Evidence.CONTRADICTED),
        ("Bass Clarinet C3", "instruments", Evidence.NAME),
        ("Bass C3", "instruments", Evidence.CONTRADICTED),
        ("Kick Loop 124", "drum-loop", Evidence.NAME),
        ("Kick Loop 124", "drum", Evidence.CONTRADICTED),
        ("SD0025", "drum", Evidence.NAME),
        ("SQ - Behind the Scenes", "vocal", Evidence.NONE),
        ("Tokyo Nights", "vocal", Evidence.NONE),
        ("New Recording 5", "effects", Evidence.NONE),
        ("\u30ad\u30c3\u30af 01", "drum", Evidence.NAME),
    ],
)
def test_only_known_words_are_evidence_for_a_category(name, category, evidence):
    assert kind(name, category) is evidence


def test_a_name_without_known_words_uses_the_evidence_of_its_mates():
    assert kind("Tokyo Nights", "drum", [*KICKS, "Tokyo Nights"]) is Evidence.PACK_MATES
    assert kind("Tokyo Nights", "vocal", [*KICKS, "Tokyo Nights"]) is Evidence.NONE
    assert kind("Tokyo Nights", "drum", ["Kick 1", "Tokyo Nights"]) is Evidence.NONE
    assert kind("01", "drum", [*KICKS[:4], *map(str, range(9))]) is Evidence.NONE


def test_a_folder_of_another_category_contradicts_a_word_and_a_mixed_folder_does_not():
    assert kind("Bass 1", "bass", [*KICKS, "Bass 1"]) is Evidence.CONTRADICTED
    assert kind("Kick 1", "drum", [*KICKS, "Bass 1"]) is Evidence.NAME
    mixed = ["Bass 1", "Kick 1", "Kick 2", "Vocal Chop", "Riser"]
    assert kind("Bass 1", "bass", mixed) is Evidence.NAME


def test_folder_words_are_reported_as_folder_evidence():
    named, none = (KINDS.index(found) for found in (Evidence.NAME, Evidence.NONE))
    assert evidence_of(named, has_folder_words=True) is Evidence.FOLDER
    assert evidence_of(named, has_folder_words=False) is Evidence.NAME
    assert evidence_of(none, has_folder_words=True) is Evidence.NONE


def test_a_confident_prediction_without_evidence_needs_a_review():
    kinds = np.array([KINDS.index(Evidence.NONE), KINDS.index(Evidence.NAME)])
    assert needs_review(kinds, np.array([0.99, 0.99]), 0.9).tolist() == [True, False]


def test_each_kind_of_evidence_is_calibrated_separately_without_changing_categories():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(N_CATEGORIES), 40).astype(np.float32)
    kinds = np.arange(40) % len(KINDS)
    calibration = Calibration(1.2, {Evidence.NONE: KindCalibration(1.5, 0.6)})
    found = calibration.applied(probabilities, kinds)
    is_none = kinds == KINDS.index(Evidence.NONE)
    assert (found[~is_none] == probabilities[~is_none]).all()
    assert found[is_none].max() <= 0.6 + 0.4 / N_CATEGORIES
    assert (found.argmax(axis=1) == probabilities.argmax(axis=1)).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_a_calibration_survives_the_round_trip_through_a_bundle():
    calibration = Calibration(1.2345678901234567, {Evidence.NONE: KindCalibration(1.5, 0.6)})
    assert Calibration.from_json(calibration.to_json()) == calibration


def test_a_word_learned_from_labels_is_evidence():
    learned = frozenset({("zorp", ("drum",))})
    assert Calibration.from_json(Calibration(1.0, {}, learned).to_json()).learned == learned
    known, unknown = word_counts([["zorp", "<index>"]], learned), word_counts([["zorp"]])
    predicted, alone = np.array([CATEGORIES.index("drum")]), np.zeros_like(unknown)
    assert KINDS[kinds_of(predicted, known, alone)[0]] is Evidence.NAME
    assert KINDS[kinds_of(predicted, unknown, alone)[0]] is Evidence.NONE


def test_an_older_bundle_with_one_temperature_is_read():
    assert Calibration.from_json(b'{"temperature": 1.5}') == Calibration(1.5)


@pytest.mark.parametrize(
    "document", [b"1.5", b"{}", b'{"temperature": 0}', b'{"temperature": "x"}',
                 b'{"temperature": Infinity}', b'{"temperature": NaN}',
                 b'{"temperature": 1, "by_kind": {"name": {"temperature": 1}}}',
                 b'{"temperature": 1, "by_kind": {"name": {"temperature": -1, "trust": 1}}}',
                 b'{"temperature": 1, "by_kind": {"name": {"temperature": 1, "trust": 0}}}',
                 b'{"temperature": 1, "by_kind": {"rumour": {"temperature": 1, "trust": 1}}}'],
)  # fmt: skip
def test_an_invalid_calibration_is_refused(document):
    with pytest.raises(ValueError, match=r"calibration|could not convert|not a valid Evidence"):
        Calibration.from_json(document)
