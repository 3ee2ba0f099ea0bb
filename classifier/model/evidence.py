"""What a category rests on: name, pack-mates, folders, or the header's numbers.

The model weighs all of them at once. Predicting from less shows what was needed.
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
    """Return what the prediction of the whole model rests on.

    Parameters
    ----------
    category, by_name, by_mates : int
        Indices of `CATEGORIES`: the whole model's prediction, the one from the name alone, and the
        one from the name and its pack-mates (None where they are not known).
    folder_spoke : bool
        Whether the name was prefixed with its folders' words (`classifier.names.folder_context`).
    """
    if by_name == category:
        return Evidence.FOLDER if folder_spoke else Evidence.NAME
    return Evidence.MATES if by_mates == category else Evidence.HEADER
