"""Errors of training."""

from classifier.errors import CratesortError


class TrainingError(CratesortError):
    """These labelled sounds cannot train a model."""


class NamingError(TrainingError):
    """A page of words (`naming`, `keywords`) that cannot be used; the message names the place."""


class MissingExtraError(TrainingError):
    """Training needs packages that are not installed."""


class RunNotOpenedError(TrainingError):
    """Another run is running, or the schedule's moment has had its run; nothing was begun."""


class RunLeaseLostError(TrainingError):
    """The run was closed by another process, because its lease had ended; it stops."""


class RunTooLongError(TrainingError):
    """The run has not ended within its time limit; it stops."""


class DatabaseAwayError(TrainingError):
    """The database has not answered for as long as the run's lease holds; the run stops."""
