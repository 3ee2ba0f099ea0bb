"""What can go wrong with training, for a person to read."""

from typing import Final

from classifier.errors import CratesortError

#: Said by whoever imports `training.retrain` and gets an ImportError.
MISSING_EXTRA: Final = (
    "training needs TensorFlow, scikit-learn and pandas, which this installation lacks: "
    "pip install 'cratesort[training]'"
)


class TrainingError(CratesortError):
    """These labelled sounds cannot train a model."""


class TableError(TrainingError):
    """A table of labelled sounds that cannot be trusted; the message names its lines."""


class NamingError(TrainingError):
    """A naming vocabulary (`training.naming`) that cannot be used; the message names the place."""
