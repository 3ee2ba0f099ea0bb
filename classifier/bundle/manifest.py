"""The members of a bundle, and its manifest with their hashes.

To change the format: increase `FORMAT_VERSION`, keep an old bundle for the test that it is refused
with its own message, and rebuild the starter.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final

from classifier.categories import CATEGORIES
from classifier.errors import BundleError
from classifier.model.header_features import HEADER_COLUMNS

#: Increase it whenever an older reader would misread the new format.
FORMAT_VERSION: Final = 3

MANIFEST: Final = "manifest.json"
VOCABULARY: Final = "vocabulary.json"
GENERAL: Final = "general.keras"
LSTM: Final = "lstm.keras"
SCALER: Final = "scaler.joblib"
FOREST: Final = "forest.joblib"
CALIBRATION: Final = "calibration.json"
COMPILED: Final = "compiled.onnx"
GOLDEN: Final = "golden.json"

#: The arguments of `KerasEngine.from_bytes`, in order.
ORIGINALS: Final = (GENERAL, LSTM, SCALER, FOREST, CALIBRATION)

#: Members that training passes to `publish`, which adds the golden vectors.
TRAINED_MEMBERS: Final = (VOCABULARY, GENERAL, LSTM, SCALER, FOREST, CALIBRATION, COMPILED)
MEMBERS: Final = (*TRAINED_MEMBERS, GOLDEN)

_LIBRARIES: Final = (
    "keras", "numpy", "onnx", "onnxruntime", "scikit-learn", "skl2onnx", "tensorflow",
)  # fmt: skip


@dataclass(frozen=True)
class Manifest:
    """A bundle's description of itself."""

    version: str
    #: Versions of the libraries that trained it.
    libraries: Mapping[str, str]
    #: Hexadecimal, for each of `MEMBERS`.
    member_sha256: Mapping[str, str]
    #: Confidence below which the user should review a prediction, 0 to 1.
    review_below: float
    #: As training wrote them; JSON values only.
    training: Mapping[str, Any]
    metrics: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return the content of the manifest's JSON document."""
        return {
            "format_version": FORMAT_VERSION,
            "version": self.version,
            "labels": list(CATEGORIES),
            "header_columns": list(HEADER_COLUMNS),
            "libraries": dict(self.libraries),
            "member_sha256": dict(self.member_sha256),
            "review_below": self.review_below,
            "training": dict(self.training),
            "metrics": dict(self.metrics),
        }

    def to_json(self) -> bytes:
        """Return the manifest as JSON, the bundle's first member."""
        return json.dumps(self.as_dict(), indent=1, sort_keys=True).encode("ascii")


def installed_libraries() -> dict[str, str]:
    """Return the versions of the libraries that train and serve models."""
    return {library: metadata.version(library) for library in _LIBRARIES}


def sha256(content: bytes) -> str:
    """Return the SHA-256 in hexadecimal, as the manifest states it."""
    return hashlib.sha256(content).hexdigest()


def parse_manifest(document: bytes) -> Manifest:
    """Read what `Manifest.to_json` wrote.

    Raises BundleError: `document` is not a manifest, or has another format version, other labels or
    other header columns.
    """
    try:
        content = json.loads(document)
        format_version = content["format_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as fault:
        raise BundleError(f"{MANIFEST} cannot be read: {fault}") from fault
    # Checked first, because any other field may differ in another format.
    if format_version != FORMAT_VERSION:
        raise BundleError(
            f"the bundle has format {format_version!r}; this version of cratesort reads format "
            f"{FORMAT_VERSION}"
        )
    try:
        for field, expected in (("labels", CATEGORIES), ("header_columns", HEADER_COLUMNS)):
            if tuple(content[field]) != expected:
                raise BundleError(
                    f"the bundle has other {field} than this version of cratesort: "
                    f"{', '.join(content[field])}"
                )
        manifest = Manifest(
            version=content["version"],
            libraries=dict(content["libraries"]),
            member_sha256={name: str(content["member_sha256"][name]) for name in MEMBERS},
            review_below=float(content["review_below"]),
            training=dict(content["training"]),
            metrics=dict(content["metrics"]),
        )
    except (KeyError, TypeError, ValueError) as fault:
        raise BundleError(f"{MANIFEST} has a missing or invalid entry: {fault}") from fault
    if not 0 <= manifest.review_below <= 1:
        raise BundleError(f"{MANIFEST}: review_below must be between 0 and 1")
    if not isinstance(manifest.version, str) or not manifest.version:
        raise BundleError(f"{MANIFEST}: version must be a text that is not empty")
    return manifest
