"""The bundle: what is served, and what is refused before anything is deserialised."""

import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from classifier.bundle import archive
from classifier.bundle.archive import pack
from classifier.bundle.load import load_classifier, load_starter, read_manifest
from classifier.bundle.manifest import FORMAT_VERSION, GOLDEN, MANIFEST, MEMBERS, sha256
from classifier.bundle.starter import starter_bundle, starter_version
from classifier.categories import N_CATEGORIES
from classifier.errors import BundleError, UnknownSampleTypeError
from classifier.headers.reader import AudioHeader
from tests.support.bundles import unpacked

NOTHING_STATED = AudioHeader(None, None, None, None, None, None)
A_HEADER = AudioHeader(88_244, 1.0, 44_100, 1, 44_100, "PCM_16")


def repacked(members: dict[str, bytes]) -> bytes:
    """Pack without compressing, which is all that these tests would otherwise wait for."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as target:
        for name, content in members.items():
            target.writestr(name, content)
    return packed.getvalue()


def with_manifest(bundle: bytes, **changes: object) -> bytes:
    members = unpacked(bundle)
    manifest = {**json.loads(members[MANIFEST]), **changes}
    return repacked({**members, MANIFEST: json.dumps(manifest).encode()})


@pytest.fixture(scope="module")
def starter():
    return load_starter()


# What is served


def test_each_sound_gets_twelve_probabilities_that_sum_to_one(starter):
    probabilities = starter.predict(["kick.wav", "x.wav"], [A_HEADER, NOTHING_STATED])
    assert probabilities.shape == (2, N_CATEGORIES)
    assert probabilities.dtype == np.float32
    assert probabilities.sum(axis=1) == pytest.approx([1, 1], abs=1e-5)


def test_no_sounds_give_no_rows(starter):
    assert starter.predict([], []).shape == (0, N_CATEGORIES)


def test_a_prediction_does_not_depend_on_the_batch(starter):
    names = [f"{word}_{n}.wav" for n in range(300) for word in ("kick", "Pad Am", "riser128bpm")]
    headers = [
        NOTHING_STATED if n % 3 else AudioHeader(1_000 * n, n / 7, 44_100, 1, n, "PCM_24")
        for n in range(len(names))
    ]
    together = starter.predict(names, headers)
    order = np.random.default_rng(0).permutation(len(names))
    shuffled = starter.predict([names[i] for i in order], [headers[i] for i in order])
    assert (shuffled == together[order]).all()
    alone = [starter.predict([names[i]], [headers[i]])[0] for i in order[:50]]
    assert (np.array(alone) == together[order[:50]]).all()


def test_folders_of_a_path_do_not_change_the_prediction(starter):
    bare, inside = starter.predict(["07.wav", "Drums/Kicks/07.wav"], [A_HEADER, A_HEADER])
    assert (bare == inside).all()


def test_a_different_number_of_headers_and_names_is_refused(starter):
    with pytest.raises(ValueError, match="1 names, 0 headers"):
        starter.predict(["kick.wav"], [])


def test_an_unknown_sample_type_is_refused_by_name(starter):
    with pytest.raises(UnknownSampleTypeError, match="PCM_48"):
        starter.predict(["kick.wav"], [AudioHeader(1, 1.0, 1, 1, 1, "PCM_48")])


def test_the_starter_is_small_and_states_its_version(starter):
    assert len(starter_bundle()) <= 8 * 2**20
    assert starter.version == starter_version()
    training = read_manifest(starter_bundle()).training
    assert training["sounds"] > 0
    assert training["vendors"]


def test_the_default_engine_loads_no_training_library():
    script = (
        "import sys\n"
        "from classifier.bundle.load import load_starter\n"
        "from classifier.headers.reader import AudioHeader\n"
        "load_starter().predict(['kick.wav'], [AudioHeader(1, 1.0, 1, 1, 1, 'FLOAT')])\n"
        "print(*{module.partition('.')[0] for module in sys.modules})\n"
    )
    command = [sys.executable, "-c", script]
    loaded = set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    assert "onnxruntime" in loaded
    training_libraries = {"tensorflow", "keras", "sklearn", "joblib", "pandas", "onnx", "skl2onnx"}
    assert not loaded & training_libraries


# What is refused


@pytest.mark.parametrize("engine", ["onnx", "keras"])
@pytest.mark.parametrize("member", MEMBERS)
def test_a_changed_byte_in_a_member_is_refused_with_the_member_name(member, engine):
    members = unpacked(starter_bundle())
    changed = bytearray(members[member])
    changed[len(changed) // 2] ^= 1
    with pytest.raises(BundleError, match=f"{member} of bundle .* does not match its SHA-256"):
        load_classifier(repacked({**members, member: bytes(changed)}), engine)


def test_a_forged_pickle_is_refused_before_it_is_loaded(tmp_path):
    # Given a bundle whose scaler would run a command when unpickled
    trap = tmp_path / "sprung"
    forged = f"cos\nsystem\n(S'touch {trap}'\ntR.".encode()
    members = unpacked(starter_bundle())
    # When it is loaded
    with pytest.raises(BundleError, match=r"scaler\.joblib"):
        load_classifier(repacked({**members, "scaler.joblib": forged}), "keras")
    # Then nothing ran
    assert not trap.exists()


def test_a_truncated_bundle_is_refused():
    with pytest.raises(BundleError, match="not a model bundle"):
        load_classifier(starter_bundle()[:-1_000])


@pytest.mark.parametrize("content", [b"", b"PK", b"GIF89a", b"\x00" * 100])
def test_a_file_that_is_not_an_archive_is_refused(content):
    with pytest.raises(BundleError, match="not a model bundle"):
        read_manifest(content)


def test_a_bundle_with_a_missing_or_extra_member_is_refused():
    members = unpacked(starter_bundle())
    missing = {name: content for name, content in members.items() if name != GOLDEN}
    with pytest.raises(BundleError, match=r"missing golden\.json"):
        load_classifier(repacked(missing))
    with pytest.raises(BundleError, match=r"unknown '\.\./evil'"):
        load_classifier(repacked({**members, "../evil": b""}))


def test_a_member_that_unpacks_to_more_than_its_limit_is_refused(monkeypatch):
    # Given a bound that a well compressing member exceeds
    monkeypatch.setattr(archive, "MOST_MEMBER_BYTES", 10 * 2**20)
    bomb = pack({**unpacked(starter_bundle()), "forest.joblib": b"\x00" * (11 * 2**20)})
    assert len(bomb) < 8 * 2**20
    with pytest.raises(BundleError, match=r"forest\.joblib states 11,534,336 bytes"):
        load_classifier(bomb)


def test_a_bundle_above_the_size_limit_is_refused_unread(monkeypatch):
    monkeypatch.setattr(archive, "MOST_BUNDLE_BYTES", 1_000)
    with pytest.raises(BundleError, match="at most 1,000"):
        load_classifier(starter_bundle())


def test_another_format_version_is_refused():
    newer = with_manifest(starter_bundle(), format_version=FORMAT_VERSION + 1)
    with pytest.raises(
        BundleError, match=f"this version of cratesort reads format {FORMAT_VERSION}"
    ):
        load_classifier(newer)


def test_other_labels_are_refused():
    with pytest.raises(BundleError, match="other labels"):
        load_classifier(with_manifest(starter_bundle(), labels=["kick", "snare"]))


@pytest.mark.parametrize(
    "changes",
    [{"version": ""}, {"version": 3}, {"labels": 3}, {"labels": None}, {"member_sha256": {}}],
)
def test_a_manifest_with_a_misspelt_key_is_refused(changes):
    with pytest.raises(BundleError, match="manifest"):
        read_manifest(with_manifest(starter_bundle(), **changes))


def test_an_engine_that_does_not_reproduce_the_golden_vectors_is_refused():
    # Given a bundle whose hashes are right but whose golden probabilities are another model's
    members = unpacked(starter_bundle())
    golden = json.loads(members[GOLDEN])
    golden["sounds"][5]["probabilities"].reverse()
    members[GOLDEN] = json.dumps(golden).encode()
    hashes = {**json.loads(members[MANIFEST])["member_sha256"], GOLDEN: sha256(members[GOLDEN])}
    bundle = with_manifest(repacked(members), member_sha256=hashes)
    with pytest.raises(BundleError, match=r"predictions for 1 of \d+ golden vectors differ"):
        load_classifier(bundle)
