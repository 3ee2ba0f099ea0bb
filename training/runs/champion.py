"""The champion (the model in use), and its predictions for sounds that test a challenger."""

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

#: Values of ``holdout`` in the manifest of a model that learned labels of the database. `FROZEN`:
#: it learned no sound of the holdout and may be measured there. `NO_HOLDOUT`: it learned all.
FROZEN: Final = "frozen"
NO_HOLDOUT: Final = "none"


@dataclass(frozen=True)
class Champion:
    """The model in use; `training` is the part of its manifest that describes its training.

    `last_label_id` is the newest entry of the label history that it may have learned. It is None if
    the model was not made by a training run of this database.
    """

    version: str
    classifier: Classifier
    training: Mapping[str, Any]
    last_label_id: int | None = None

    @property
    def vendors(self) -> frozenset[str]:
        """The vendors whose sounds the model may have learned."""
        return vendors_of(self.training)

    def rows_not_learned(self, tables: LabelledTables, from_starter: frozenset[str]) -> Rows:
        """Return the rows of ``tables.learned`` that neither this model nor the starter learned."""
        sounds = tables.learned
        if self.training.get("holdout") not in (FROZEN, NO_HOLDOUT):
            return rows_of_other_vendors(sounds, from_starter | self.vendors)
        if self.last_label_id is None:
            return np.empty(0, dtype=np.int64)
        is_new = tables.first_label_ids > self.last_label_id
        others = rows_of_other_vendors(sounds, from_starter)
        return others[is_new[others]]

    def probabilities(self, sounds: LabelledSounds) -> NDArray[np.float32]:
        """Return the probability of each category, shape (n_sounds, 12).

        Sounds of one folder are pack-mates.
        """
        names = sounds.names.tolist()
        return self.classifier.predict_detailed(
            names, sounds.headers, mates_in(sounds)
        ).probabilities


def read_champion(connection: Connection) -> Champion:
    """Load the model in use; raises `BundleError` if it cannot be loaded."""
    version = bundles.champion_version(connection)
    bundle = starter_bundle() if version is None else bundles.read(connection, version)
    if bundle is None:
        raise BundleError(f"model {version} is in use but not in the database")
    classifier = load_classifier(bundle)
    run = None if version is None else training_runs.made(connection, version)
    return Champion(
        version or classifier.version,
        classifier,
        read_manifest(bundle).training,
        None if run is None else run.last_label_id,
    )


def starter_vendors() -> frozenset[str]:
    """Return the vendors learned by the starter, and thus by every model fitted from it."""
    return vendors_of(read_manifest(starter_bundle()).training)


def vendors_of(training: Mapping[str, Any]) -> frozenset[str]:
    """Return the vendors that a manifest lists."""
    return frozenset(map(str, training.get("vendors", ())))


def rows_of_other_vendors(sounds: LabelledSounds, vendors: frozenset[str]) -> Rows:
    """Return the rows whose vendor is not one of these."""
    return np.flatnonzero(~np.isin(sounds.vendors.astype(str), list(vendors)))
