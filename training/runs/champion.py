"""The model that serves, and its predictions for sounds that a challenger is measured on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from classifier.bundle.load import load_classifier, read_manifest
from classifier.bundle.starter import starter_bundle
from classifier.errors import BundleError
from classifier.model.classifier import Classifier
from db.registry import bundles, training_runs
from training.data.dataset import LabelledSounds
from training.data.from_database import LabelledTables
from training.data.row_mates import mates_in
from training.data.splits import Rows

#: In a manifest, of a model that learned labels of the database: nothing of the frozen holdout, so
#: it may be measured there; or all of them.
FROZEN: Final = "frozen"
NO_HOLDOUT: Final = "none"


@dataclass(frozen=True)
class Champion:
    """The model that serves; `training` is what its manifest states of its training.

    `last_label_id` is the newest entry of the labels' history that it may have learned; None: no
    training run of this database made it.
    """

    version: str
    classifier: Classifier
    training: Mapping[str, Any]
    last_label_id: int | None = None

    @property
    def vendors(self) -> frozenset[str]:
        """The vendors whose sounds it may have learned."""
        return vendors_of(self.training)

    def rows_not_learned(self, tables: LabelledTables, from_starter: frozenset[str]) -> Rows:
        """Return the rows of ``tables.learned`` that it has not learned, nor the starter."""
        sounds = tables.learned
        if self.training.get("holdout") not in (FROZEN, NO_HOLDOUT):
            return rows_of_others(sounds, from_starter | self.vendors)
        if self.last_label_id is None:
            return np.empty(0, dtype=np.int64)
        is_new = tables.first_label_ids > self.last_label_id
        others = rows_of_others(sounds, from_starter)
        return others[is_new[others]]

    def probabilities(self, sounds: LabelledSounds) -> NDArray[np.float32]:
        """Return the probabilities of each sound's categories; sounds of a folder are mates."""
        names = sounds.names.tolist()
        return self.classifier.answers(names, sounds.headers, mates_in(sounds)).probabilities


def read_champion(connection: Connection) -> Champion:
    """Load the model that serves; raises `BundleError` if it cannot be loaded."""
    version = bundles.champion_version(connection)
    bundle = starter_bundle() if version is None else bundles.read(connection, version)
    if bundle is None:
        raise BundleError(f"model {version} serves and is not in the database")
    classifier = load_classifier(bundle)
    run = None if version is None else training_runs.made(connection, version)
    return Champion(
        version or classifier.version,
        classifier,
        read_manifest(bundle).training,
        None if run is None else run.last_label_id,
    )


def starter_vendors() -> frozenset[str]:
    """Return the vendors whose sounds the starter has learned, and every model fitted from it."""
    return vendors_of(read_manifest(starter_bundle()).training)


def vendors_of(training: Mapping[str, Any]) -> frozenset[str]:
    """Return the vendors that a manifest lists."""
    return frozenset(map(str, training.get("vendors", ())))


def rows_of_others(sounds: LabelledSounds, vendors: frozenset[str]) -> Rows:
    """Return the rows of vendors that are none of these."""
    return np.flatnonzero(~np.isin(sounds.vendors.astype(str), list(vendors)))
