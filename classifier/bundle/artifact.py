"""The model bundle: one immutable, versioned archive that either engine serves from.

An archive of `MEMBERS` and ``manifest.json``, which states the format version, the labels in order,
the header columns, the library versions, the sha256 of every member, a summary of the training data
and the metrics. The same models give the same bytes. The hashes guard against corruption; whoever
stores a bundle keeps the sha256 of the whole, and so vouches for the manifest, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from classifier.bundle.archive import Archive, pack
from classifier.bundle.golden import golden_sounds, replay_golden, write_golden
from classifier.bundle.manifest import (
    CALIBRATION,
    COMPILED,
    FOREST,
    GENERAL,
    GOLDEN,
    LSTM,
    MANIFEST,
    MEMBERS,
    SCALER,
    TRAINED_MEMBERS,
    VOCABULARY,
    Manifest,
    installed_libraries,
    parse_manifest,
    sha256,
)
from classifier.bundle.starter import starter_bundle
from classifier.categories import N_CATEGORIES
from classifier.errors import BundleError
from classifier.headers.reader import AudioHeader
from classifier.model.encoder import MOST_ROWS, NameEncoder
from classifier.model.engines import Engine, KerasEngine, OnnxEngine
from classifier.model.header_features import header_matrix
from classifier.model.stacking import MatesSaid, pooled, together
from classifier.model.vocabulary import Vocabulary, token_counts
from classifier.names.pack_mates import Mates

if TYPE_CHECKING:
    from classifier.model.name_lstm import SequenceModel

EngineName = Literal["onnx", "keras"]

#: What `KerasEngine.from_bytes` takes, in its order.
_ORIGINALS: Final = (GENERAL, LSTM, SCALER, FOREST, CALIBRATION)

#: What an engine deserialises; every other member is hashed and left alone.
_READ_BY: Final = {
    "onnx": frozenset({VOCABULARY, GOLDEN, COMPILED}),
    "keras": frozenset({VOCABULARY, GOLDEN, *_ORIGINALS}),
}


@dataclass(frozen=True)
class Originals:
    """The models of a bundle as they were trained."""

    vocabulary: Vocabulary
    general: "SequenceModel"
    learned: "SequenceModel"
    scaler: Any
    forest: Any
    temperature: float


@dataclass(frozen=True)
class Answers:
    """What a classifier says of sounds, and what it would say from less.

    Attributes
    ----------
    probabilities : ndarray of shape (n_sounds, 12), float32
        The answer, in the order of `CATEGORIES`.
    of_names : ndarray of shape (n_sounds, 12), float32
        What the LSTMs say of the name alone.
    of_mates : ndarray of shape (n_sounds, 12), float32
        What they say of the name and its mates' names together.
    tokens : ndarray of shape (n_sounds, 2), int64
        How many tokens of each name were read, and how many of these the model does not know.
    """

    probabilities: NDArray[np.float32]
    of_names: NDArray[np.float32]
    of_mates: NDArray[np.float32]
    tokens: NDArray[np.int64]


class Classifier:
    """A loaded bundle: names and headers in, probabilities out. Not shared between processes.

    Parameters
    ----------
    engine_name : {"onnx", "keras"}
    """

    def __init__(
        self, manifest: Manifest, vocabulary: Vocabulary, engine: Engine, engine_name: EngineName
    ) -> None:
        self.manifest: Final = manifest
        self.engine_name: Final = engine_name
        self._encoder = NameEncoder(vocabulary, engine)
        self._engine = engine

    @property
    def version(self) -> str:
        """Version of the bundle, as every row it classifies will say."""
        return self.manifest.version

    @property
    def review_below(self) -> float:
        """Confidence below which a person should look at an answer."""
        return self.manifest.review_below

    def predict(
        self,
        names: Sequence[str],
        headers: Sequence[AudioHeader],
        mates: Sequence[Mates | None] | None = None,
    ) -> NDArray[np.float32]:
        """Return the probability of each category for each sound.

        Parameters
        ----------
        names : sequence of str, length n_sounds
            Base names. Folders before the last ``/`` are ignored, never evidence.
        headers : sequence of AudioHeader, length n_sounds
        mates : sequence of Mates or None, length n_sounds, optional
            The names of each sound's folder, None where they are not known.

        Returns
        -------
        ndarray of shape (n_sounds, 12), float32
            In the order of `CATEGORIES`. A row does not depend on the others of its batch.

        Raises
        ------
        UnknownSampleTypeError
            A header with a subtype that libsndfile does not list.
        ValueError
            Not one header per name.
        """
        return self.answers(names, header_matrix(headers), mates).probabilities

    def answers(
        self,
        names: Sequence[str],
        headers: NDArray[np.float32],
        mates: Sequence[Mates | None] | None = None,
    ) -> Answers:
        """Return what `predict` does and what it rests on, from headers that are a matrix already.

        Parameters
        ----------
        names : sequence of str, length n_sounds
        headers : ndarray of shape (n_sounds, 6), float32
            As `features.header_matrix` returns them.
        mates : sequence of Mates or None, length n_sounds, optional

        Raises
        ------
        ValueError
            Not one header, or not one entry of mates, per name.
        """
        mates = [None] * len(names) if mates is None else mates
        if not len(names) == len(headers) == len(mates):
            raise ValueError(
                f"{len(names)} names, {len(headers)} headers and mates of {len(mates)} sounds: "
                "expected as many"
            )
        shape = (len(names), N_CATEGORIES)
        answers = Answers(
            probabilities=np.zeros(shape, np.float32),
            of_names=np.zeros(shape, np.float32),
            of_mates=np.zeros(shape, np.float32),
            tokens=np.zeros((len(names), 2), np.int64),
        )
        for start in range(0, len(names), MOST_ROWS):
            rows = slice(start, start + MOST_ROWS)
            ids = self._encoder.token_ids(names[rows], mates[rows])
            said = self._encoder.said_of(mates[rows])
            found, logs = self._engine.answers(ids, said, headers[rows])
            answers.probabilities[rows] = found
            answers.of_names[rows] = together(pooled(logs, *MatesSaid.unknown(len(logs))))
            answers.of_mates[rows] = together(pooled(logs, *said))
            answers.tokens[rows] = token_counts(ids)
        return answers


def publish(
    members: Mapping[str, bytes],
    *,
    version: str,
    review_below: float,
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
) -> bytes:
    """Make a bundle, and prove that both engines serve it alike. Needs ``[training]``.

    Parameters
    ----------
    members : mapping of str to bytes
        Exactly `TRAINED_MEMBERS`.
    version : str
        Not empty.
    review_below : float, 0 to 1
        A person should look at answers with a lower confidence.
    training, metrics : mapping
        JSON values: what it was trained on, and what it scores.

    Returns
    -------
    bytes
        The archive; the same arguments give the same bytes.

    Raises
    ------
    BundleError
        The engines disagree on the golden vectors by more than 1e-4 or in a category.
    """
    if set(members) != set(TRAINED_MEMBERS):
        raise BundleError(f"a bundle needs exactly {', '.join(TRAINED_MEMBERS)}")
    vocabulary = Vocabulary.from_json(members[VOCABULARY])
    originals = KerasEngine.from_bytes(*(members[name] for name in _ORIGINALS))
    names, headers, mates = golden_sounds()
    encoder = NameEncoder(vocabulary, originals)
    given = (encoder.token_ids(names, mates), encoder.said_of(mates), header_matrix(headers))
    golden = write_golden(
        names, headers, mates, originals.answers(*given)[0], originals.is_steady(*given)
    )
    content = {**members, GOLDEN: golden}
    manifest = Manifest(
        version=version,
        libraries=installed_libraries(),
        member_sha256={name: sha256(content[name]) for name in MEMBERS},
        review_below=review_below,
        training=training,
        metrics=metrics,
    )
    bundle = pack({MANIFEST: manifest.to_json(), **{name: content[name] for name in MEMBERS}})
    # Loading replays the golden vectors: this is the proof, made with the code that will serve.
    load_classifier(bundle, "onnx")
    load_classifier(bundle, "keras")
    return bundle


def read_manifest(bundle: bytes) -> Manifest:
    """Read and check what a bundle says of itself, without loading a model.

    Raises
    ------
    BundleError
        Not a bundle, of another format version, or for other labels or header columns.
    """
    return parse_manifest(Archive(bundle, (MANIFEST, *MEMBERS)).read(MANIFEST))


def load_classifier(bundle: bytes, engine: EngineName = "onnx") -> Classifier:
    """Load a bundle into one of the two engines.

    Every bound and every hash is checked before anything is deserialised, and the golden vectors
    are replayed before anything is served.

    Parameters
    ----------
    bundle : bytes
        From `publish`.
    engine : {"onnx", "keras"}
        ``keras`` needs the ``[training]`` extra; ``onnx`` reads the originals only to hash them.

    Raises
    ------
    BundleError
        With one line that says which member is wrong and how.
    """
    manifest, vocabulary, loaded, golden = _load(bundle, engine)
    classifier = Classifier(manifest, vocabulary, loaded, engine)
    replay_golden(golden, classifier)
    return classifier


def load_originals(bundle: bytes) -> Originals:
    """Load the models of a bundle to learn on from them. Needs ``[training]``.

    Raises
    ------
    BundleError
        As for `load_classifier`; the golden vectors are not replayed, for nothing is served.
    """
    _, vocabulary, engine, _ = _load(bundle, "keras")
    assert isinstance(engine, KerasEngine)  # noqa: S101  (for mypy; `_load` was asked for it)
    return Originals(
        vocabulary,
        engine.general,
        engine.learned,
        engine.scaler,
        engine.forest,
        engine.temperature,
    )


def _load(bundle: bytes, engine: EngineName) -> tuple[Manifest, Vocabulary, Engine, bytes]:
    """Check a bundle and return its manifest, vocabulary, engine and golden vectors."""
    trusted: dict[str, bytes] = {}
    archive = Archive(bundle, (MANIFEST, *MEMBERS))
    manifest = parse_manifest(archive.read(MANIFEST))
    for name in MEMBERS:
        content = archive.read(name)
        if sha256(content) != manifest.member_sha256[name]:
            raise BundleError(f"{name} of bundle {manifest.version} is not what was published")
        if name in _READ_BY[engine]:
            trusted[name] = content
    try:
        vocabulary = Vocabulary.from_json(trusted[VOCABULARY])
        loaded: Engine = (
            OnnxEngine(trusted[COMPILED])
            if engine == "onnx"
            else KerasEngine.from_bytes(*(trusted[name] for name in _ORIGINALS))
        )
    except ImportError:
        raise  # the keras engine without its extra is a fault of the installation
    except Exception as fault:  # three libraries, each with its own exceptions
        raise BundleError(
            f"bundle {manifest.version} does not load in the {engine} engine: {fault}"
        ) from fault
    return manifest, vocabulary, loaded, trusted[GOLDEN]


def load_starter(engine: EngineName = "onnx") -> Classifier:
    """Load the starter bundle that ships with the package."""
    return load_classifier(starter_bundle(), engine)
