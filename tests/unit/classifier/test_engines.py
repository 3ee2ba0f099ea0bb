"""The two engines: one answer, and no bundle is published without it."""

import io
import random

import numpy as np
import pytest

pytest.importorskip("joblib")
pytest.importorskip("onnx")

import joblib
import onnx

from classifier.bundle.load import load_classifier, load_starter, read_manifest
from classifier.bundle.manifest import COMPILED, FOREST, GENERAL, LSTM, SCALER, TRAINED_MEMBERS
from classifier.bundle.publish import publish
from classifier.bundle.starter import starter_bundle
from classifier.errors import BundleError
from classifier.headers.reader import AudioHeader
from classifier.model.header_features import SAMPLE_TYPES, header_matrix
from classifier.names.pack_mates import pack_mates_of
from tests.support.bundles import unpacked

pytestmark = pytest.mark.tensorflow

WORDS = [
    *("kick", "snare", "bass", "pad", "Lead", "riser", "vox", "808", "C4", "F#m", "128bpm"),
    *("07", "xq", "140", "Emaj", "loop", "oboe", "forte"),
]


def made_up_name(rng: random.Random) -> str:
    words = rng.choices(WORDS, k=rng.randint(0, 12))
    noise = "".join(rng.choices("abcxyz019", k=rng.randint(0, 6)))
    return rng.choice("_- .").join([*words, noise]) + ".wav"


def made_up_header(rng: random.Random) -> AudioHeader:
    frame_count = int(10 ** rng.uniform(1, 8))
    sample_rate_hz = rng.choice([8_000, 22_050, 44_100, 48_000, 192_000])
    stated = [
        int(10 ** rng.uniform(2, 9)),
        frame_count / sample_rate_hz,
        sample_rate_hz,
        rng.randint(1, 8),
        frame_count,
        rng.choice(SAMPLE_TYPES),
    ]
    return AudioHeader(*(None if rng.random() < 0.2 else value for value in stated))


@pytest.fixture(scope="module")
def originals():
    return load_starter("keras")


def test_both_engines_give_the_same_predictions_for_generated_sounds(originals):
    # Given a thousand made-up sounds, many stating only part of their header
    rng = random.Random(0)  # noqa: S311  made-up sounds, no secrets
    names = [made_up_name(rng) for _ in range(1_000)]
    headers = [made_up_header(rng) for _ in range(1_000)]
    # And half of them in folders of fifty
    folders = [pack_mates_of(names[start : start + 50]) for start in range(0, 1_000, 50)]
    mates = [folders[row // 50] if row < 500 else None for row in range(1_000)]
    # When both engines are asked
    from_originals = originals.predict(names, headers, mates)
    from_compiled = load_starter("onnx").predict(names, headers, mates)
    # Then they agree wherever an input does not lie on the very border of two grid points
    encoder = originals._encoder
    given = (
        encoder.token_ids(encoder.tokens(names, mates)),
        encoder.summaries(mates),
        header_matrix(headers),
    )
    steady = originals._engine.is_steady(*given)
    assert steady.mean() > 0.8
    assert np.abs(from_originals - from_compiled)[steady].max() < 1e-5
    assert (from_originals.argmax(axis=1) == from_compiled.argmax(axis=1))[steady].all()


def test_no_sounds_give_no_rows_in_the_tensorflow_engine(originals):
    assert originals.predict([], []).shape == (0, 12)


def with_other_scaler(members: dict[str, bytes]) -> dict[str, bytes]:
    scaler = joblib.load(io.BytesIO(members[SCALER]))
    scaler.mean_ = scaler.mean_ + scaler.scale_
    return {**members, SCALER: dumped(scaler)}


def with_other_forest(members: dict[str, bytes]) -> dict[str, bytes]:
    forest = joblib.load(io.BytesIO(members[FOREST]))
    forest.estimators_ = forest.estimators_[: len(forest.estimators_) // 2]
    return {**members, FOREST: dumped(forest)}


def with_other_lstm(members: dict[str, bytes]) -> dict[str, bytes]:
    return {**members, LSTM: untaught()}


def with_other_general_lstm(members: dict[str, bytes]) -> dict[str, bytes]:
    return {**members, GENERAL: untaught()}


def untaught() -> bytes:
    from classifier.model.name_lstm import SequenceModel

    return SequenceModel(seed=99).to_bytes()


def with_other_graph(members: dict[str, bytes]) -> dict[str, bytes]:
    graph = onnx.load_from_string(members[COMPILED])
    (bias,) = (value for value in graph.graph.initializer if value.name == "learned_dense_bias")
    altered = np.roll(onnx.numpy_helper.to_array(bias), 1)
    bias.CopyFrom(onnx.numpy_helper.from_array(altered, "learned_dense_bias"))
    return {**members, COMPILED: graph.SerializeToString()}


def dumped(estimator: object) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    return buffer.getvalue()


def trained_members() -> dict[str, bytes]:
    return {name: unpacked(starter_bundle())[name] for name in TRAINED_MEMBERS}


@pytest.mark.parametrize(
    "alter",
    [
        with_other_scaler,
        with_other_forest,
        with_other_lstm,
        with_other_general_lstm,
        with_other_graph,
    ],
)
def test_a_bundle_whose_engines_disagree_is_not_published(alter):
    with pytest.raises(BundleError, match=r"differ from those of the|have a clear category"):
        publish(alter(trained_members()), version="x", review_below=0.5, training={}, metrics={})


def test_a_bundle_is_reproducible_and_works_in_both_engines():
    bundle = publish(
        trained_members(), version="x", review_below=0.5, training={"seed": 1}, metrics={}
    )
    again = publish(
        trained_members(), version="x", review_below=0.5, training={"seed": 1}, metrics={}
    )
    assert bundle == again
    assert load_classifier(bundle, "keras").version == "x"
    assert read_manifest(bundle).training == {"seed": 1}


def test_a_bundle_without_one_of_its_models_is_not_published():
    members = trained_members()
    del members[FOREST]
    with pytest.raises(BundleError, match="exactly"):
        publish(members, version="x", review_below=0.5, training={}, metrics={})
