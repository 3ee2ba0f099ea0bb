"""What can go wrong with training, for a person to read."""

from classifier.errors import CratesortError


class TrainingError(CratesortError):
    """These labelled sounds cannot train a model."""


class TableError(TrainingError):
    """A table of labelled sounds that cannot be trusted; the message names its lines."""


class NamingError(TrainingError):
    """A naming vocabulary (`training.naming`) that cannot be used; the message names the place."""
