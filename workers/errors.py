"""Exceptions of this package."""

from classifier.errors import CratesortError


class LibraryRootAwayError(CratesortError):
    """A library root cannot be opened: its mount is away, or this host has the wrong folder."""


class BatchReturnedError(CratesortError):
    """A batch went back to the ledger, with no attempt counted; its message gives the reason."""

    def __repr__(self) -> str:
        """Return the reason first: Flower shows the beginning."""
        return f"handed back: {self}"
