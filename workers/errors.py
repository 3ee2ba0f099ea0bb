"""Exceptions of this package."""

from typing import Final

from classifier.errors import CratesortError

_SHOWN_CHARACTERS: Final = 1000


class LibraryRootAwayError(CratesortError):
    """A library root cannot be opened or read: it is not mounted, or another folder is there."""


class DataFolderError(CratesortError):
    """The data folder cannot be written, so a process cannot have a crash marker."""


class BatchReturnedError(CratesortError):
    """A batch went back to the ledger, with no attempt counted; its message gives the reason."""

    def __repr__(self) -> str:
        """Return the reason without the class name: Flower shows only the beginning."""
        return f"requeued: {self}"


class UnclaimedError(BatchReturnedError):
    """A batch was not claimed: the database is unreachable; its message goes back to Redis."""


class TaskFailedError(Exception):
    """A task raised an unexpected error; the message has that error's type and text."""

    @classmethod
    def of(cls, error: BaseException) -> "TaskFailedError":
        """Return the error with the type and text of another error, shortened."""
        from db.errors import plain  # loads SQLAlchemy, which `cratesort --help` does without

        kind, text = type(error).__name__, plain(error)
        return cls((kind if text == kind else f"{kind}: {text}")[:_SHOWN_CHARACTERS])
