"""Exceptions of this package."""

from classifier.errors import CratesortError


class LibraryRootAwayError(CratesortError):
    """A library root cannot be opened or read: its mount is away, or the folder is another one."""


class BatchReturnedError(CratesortError):
    """A batch went back to the ledger, with no attempt counted; its message gives the reason."""

    def __repr__(self) -> str:
        """Return the reason first: Flower shows the beginning."""
        return f"handed back: {self}"


class UnclaimedError(BatchReturnedError):
    """A batch was not claimed, for the database is away; its message goes back to Redis."""
