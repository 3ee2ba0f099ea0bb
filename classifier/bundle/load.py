"""Load a bundle: all size limits and hashes are checked before anything is deserialised."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from classifier.bundle.archive import Archive
from classifier.bundle.golden import replay_golden
from classifier.bundle.manifest import (
    CALIBRATION,
    COMPILED,
    GOLDEN,
    MANIFEST,
    MEMBERS,
    ORIGINALS,
    VOCABULARY,
    Manifest,
    parse_manifest,
    sha256,
)
from classifier.bundle.starter import starter_bundle
from classifier.errors import BundleError
from classifier.model.classifier import Classifier
from classifier.model.confidence import Calibration
from classifier.model.engines import Engine, EngineName, KerasEngine, OnnxEngine
from classifier.model.vocabulary import Vocabulary

if TYPE_CHECKING:
    from classifier.model.name_lstm import SequenceModel

#: Time limit for the golden vectors, which take a fraction of a second. It is shorter than a
#: batch's time limit and than the time that a child may take to start
#: (`worker_proc_alive_timeout`): these limits would end the child again and again.
GOLDEN_SECONDS: Final = 30.0

#: Members that each engine deserialises; the others are only hashed.
_READ_BY: Final = {
    "onnx": frozenset({VOCABULARY, GOLDEN, COMPILED, CALIBRATION}),
    "keras": frozenset({VOCABULARY, GOLDEN, *ORIGINALS}),
}


@dataclass(frozen=True)
class Originals:
    """The models of a bundle as they were trained."""

    vocabulary: Vocabulary
    general: "SequenceModel"
    learned: "SequenceModel"
    scaler: Any
    forest: Any
    calibration: Calibration


def read_manifest(bundle: bytes) -> Manifest:
    """Read and check a bundle's manifest, without loading a model.

    Raises BundleError: it is not a bundle, or has another format version, other labels or other
    header columns.
    """
    return parse_manifest(Archive(bundle, (MANIFEST, *MEMBERS)).read(MANIFEST))


def load_classifier(bundle: bytes, engine_name: EngineName = "onnx") -> Classifier:
    """Load a bundle into one of the two engines, and replay its golden vectors.

    - `bundle`: from `publish.publish`.
    - `engine_name`: ``keras`` needs the ``[training]`` extra; ``onnx`` only hashes the originals.

    Raises BundleError: the bundle is not valid, and the message names the member and the fault; or
    ONNX Runtime does not finish the golden vectors within `GOLDEN_SECONDS`.
    """
    manifest, members = _verified(bundle, engine_name)
    vocabulary, engine = _deserialised(manifest, members, engine_name)
    classifier = partial(
        Classifier,
        vocabulary,
        engine,
        version=manifest.version,
        review_below=manifest.review_below,
    )
    # Replayed without calibration: the words that count as evidence may change with the package,
    # the predictions of the models may not.
    with _time_limit(engine, manifest.version):
        replay_golden(members[GOLDEN], classifier().predict, engine_name)
    return classifier(calibration=_calibration(manifest, members))


@contextmanager
def _time_limit(engine: Engine, version: str) -> Iterator[None]:
    """Raise BundleError if the models compute for too long, or fail.

    Has no effect on the originals: TensorFlow and scikit-learn cannot be interrupted.
    """
    if not isinstance(engine, OnnxEngine):
        yield
        return
    timer = threading.Timer(GOLDEN_SECONDS, engine.stop)
    timer.daemon = True
    timer.start()
    fault: Exception | None = None
    try:
        yield
    except BundleError:
        raise
    except Exception as error:  # ONNX Runtime's errors have no common base class
        fault = error
    finally:
        timer.cancel()
    if engine.is_stopped:
        raise BundleError(
            f"the models of bundle {version} did not predict its golden vectors within "
            f"{GOLDEN_SECONDS:g} s"
        ) from fault
    if fault is not None:
        raise BundleError(f"the models of bundle {version} failed: {fault}") from fault


def load_starter(engine_name: EngineName = "onnx") -> Classifier:
    """Load the starter bundle that ships with the package."""
    return load_classifier(starter_bundle(), engine_name)


def load_originals(bundle: bytes) -> Originals:
    """Load the models of a bundle for further training. Needs ``[training]``.

    The golden vectors are not replayed, because the models are not served.

    Raises BundleError: as for `load_classifier`.
    """
    vocabulary, engine = _deserialised(*_verified(bundle, "keras"), "keras")
    assert isinstance(engine, KerasEngine)  # noqa: S101  (for mypy)
    return Originals(
        vocabulary,
        engine.general,
        engine.learned,
        engine.scaler,
        engine.forest,
        engine.calibration,
    )


def _verified(bundle: bytes, engine_name: EngineName) -> tuple[Manifest, dict[str, bytes]]:
    """Check all hashes; return the manifest and the members that the engine deserialises."""
    archive = Archive(bundle, (MANIFEST, *MEMBERS))
    manifest = parse_manifest(archive.read(MANIFEST))
    members: dict[str, bytes] = {}
    for name in MEMBERS:
        content = archive.read(name)
        if sha256(content) != manifest.member_sha256[name]:
            raise BundleError(
                f"{name} of bundle {manifest.version} does not match its SHA-256 in the manifest"
            )
        if name in _READ_BY[engine_name]:
            members[name] = content
    return manifest, members


def _calibration(manifest: Manifest, members: dict[str, bytes]) -> Calibration:
    try:
        return Calibration.from_json(members[CALIBRATION])
    except ValueError as error:
        raise BundleError(f"{CALIBRATION} of bundle {manifest.version}: {error}") from error


def _deserialised(
    manifest: Manifest, members: dict[str, bytes], engine_name: EngineName
) -> tuple[Vocabulary, Engine]:
    try:
        vocabulary = Vocabulary.from_json(members[VOCABULARY])
        if engine_name == "onnx":
            return vocabulary, OnnxEngine(members[COMPILED])
        return vocabulary, KerasEngine.from_bytes(*(members[name] for name in ORIGINALS))
    except ImportError:
        raise  # the extra is not installed: not the bundle's fault
    except Exception as error:  # three libraries, each with its own exceptions
        raise BundleError(
            f"bundle {manifest.version} does not load in the {engine_name} engine: {error}"
        ) from error
