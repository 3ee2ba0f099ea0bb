"""Errors of training."""

from classifier.errors import CratesortError


class TrainingError(CratesortError):
    """These labelled sounds cannot train a model."""


class NamingError(TrainingError):
    """``naming.toml`` or ``keywords.toml`` is invalid; the message names the faulty entry."""


class MissingExtraError(TrainingError):
    """Training needs packages that are not installed."""


class RunNotOpenedError(TrainingError):
    """The run was not started: another one is running, or this scheduled run was already done."""


class RunLeaseLostError(TrainingError):
    """The run stops because its lease expired and another process closed it."""


class RunTooLongError(TrainingError):
    """The run stops because it exceeded its time limit."""


class DatabaseUnreachableError(TrainingError):
    """The run stops because the database was unreachable for longer than the run's lease."""
