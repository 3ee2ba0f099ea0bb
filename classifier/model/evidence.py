"""What a category rests on: name, pack-mates, folders, or the header's figures.

The model weighs all of them at once. What decided is told by leaving out: if the name alone gives
the same category, nothing else was needed for it.
"""

from enum import StrEnum


class Evidence(StrEnum):
    """What a category rests on; the first that suffices counts."""

    FOLDER = "folder"
    NAME = "name"
    MATES = "mates"
    HEADER = "header"


def evidence_of(
    category: int, by_name: int, by_mates: int | None = None, *, folder_spoke: bool = False
) -> Evidence:
    """Return what a category rests on.

    Parameters
    ----------
    category : int
        What the whole model said; these are indices of `CATEGORIES`.
    by_name : int
        What it says of the name alone, with its folders' words where they were used.
    by_mates : int or None
        What it says of the name among its pack-mates; None where they are not known.
    folder_spoke : bool
        Whether folders' words stand in the name (`classifier.names.folder_context`).

    Returns
    -------
    Evidence
        `HEADER` when no name gives the category: the header's figures changed it.
    """
    if by_name == category:
        return Evidence.FOLDER if folder_spoke else Evidence.NAME
    return Evidence.MATES if by_mates == category else Evidence.HEADER
