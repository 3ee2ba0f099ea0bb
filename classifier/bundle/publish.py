"""Publish trained models as one archive, for which both engines predict the same."""

from collections.abc import Mapping
from typing import Any

from classifier.bundle.archive import pack
from classifier.bundle.golden import golden_sounds, write_golden
from classifier.bundle.load import load_classifier
from classifier.bundle.manifest import (
    GOLDEN,
    MANIFEST,
    MEMBERS,
    ORIGINALS,
    TRAINED_MEMBERS,
    VOCABULARY,
    Manifest,
    installed_libraries,
    sha256,
)
from classifier.errors import BundleError
from classifier.model.encoder import NameEncoder
from classifier.model.engines import KerasEngine
from classifier.model.header_features import header_matrix
from classifier.model.vocabulary import Vocabulary


def publish(
    members: Mapping[str, bytes],
    *,
    version: str,
    review_below: float,
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
) -> bytes:
    """Build a bundle and verify that both engines predict the same. Needs ``[training]``.

    - `members`: exactly `TRAINED_MEMBERS`.
    - `version`: not empty.
    - `review_below` (float, 0 to 1): the user should review predictions of a lower confidence.
    - `training`, `metrics`: JSON values: what it was trained on, and how it scores.

    Returns the archive; the same arguments give the same bytes.

    Raises BundleError: the engines disagree on the golden vectors by more than 1e-4 or in a
    category.
    """
    if set(members) != set(TRAINED_MEMBERS):
        raise BundleError(f"a bundle needs exactly {', '.join(TRAINED_MEMBERS)}")
    engine = KerasEngine.from_bytes(*(members[name] for name in ORIGINALS))
    encoder = NameEncoder(Vocabulary.from_json(members[VOCABULARY]), engine)
    sounds = golden_sounds()
    inputs = (
        encoder.token_ids(encoder.tokens(sounds.names, sounds.pack_mates)),
        encoder.summaries(sounds.pack_mates),
        header_matrix(sounds.headers),
    )
    golden = write_golden(sounds, engine.predict(*inputs)[0], engine.is_steady(*inputs))
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
    # Loading replays the golden vectors, with the same code as in production.
    load_classifier(bundle, "onnx")
    load_classifier(bundle, "keras")
    return bundle
