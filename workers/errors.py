"""Exceptions of this package."""

from typing import Final

from classifier.errors import CratesortError

_SHOWN_CHARACTERS: Final = 1000


class LibraryRootAwayError(CratesortError):
    """A library root cannot be opened or read: its mount is away, or the folder is another one."""


class BatchReturnedError(CratesortError):
    """A batch went back to the ledger, with no attempt counted; its message gives the reason."""

    def __repr__(self) -> str:
        """Return the reason first: Flower shows the beginning."""
        return f"handed back: {self}"


class UnclaimedError(BatchReturnedError):
    """A batch was not claimed, for the database is away; its message goes back to Redis."""


class TaskFailedError(Exception):
    """A task raised an error that was not expected; its message names the kind and the text."""

    @classmethod
    def of(cls, error: BaseException) -> "TaskFailedError":
        """Return what is shown of an error."""
        from db.errors import plain  # loads SQLAlchemy, which `cratesort --help` does without

        kind, text = type(error).__name__, plain(error)
        return cls((kind if text == kind else f"{kind}: {text}")[:_SHOWN_CHARACTERS])
