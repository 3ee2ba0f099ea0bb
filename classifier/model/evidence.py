"""What a category rests on: name, pack-mates, folders, or the header's numbers.

The model weighs all of them at once. Predicting from less shows what was needed.
"""

from enum import StrEnum


class Evidence(StrEnum):
    """What a category rests on; the first that suffices counts."""

    FOLDER = "folder"
    NAME = "name"
    PACK_MATES = "mates"
    HEADER = "header"
    #: A MIDI file, whatever its name says.
    FORMAT = "format"


def evidence_of(
    category: int, by_name: int, by_pack_mates: int | None = None, *, has_folder_words: bool = False
) -> Evidence:
    """Return what the prediction of the whole model rests on.

    - `category`, `by_name`, `by_pack_mates`: indices of `CATEGORIES`: the whole model's prediction,
      the one from the name alone, and the one from the name and its pack-mates (None where they are
      not known).
    - `has_folder_words`: whether the name was prefixed with its folders' words
      (`classifier.names.folder_context`).
    """
    if by_name == category:
        return Evidence.FOLDER if has_folder_words else Evidence.NAME
    return Evidence.PACK_MATES if by_pack_mates == category else Evidence.HEADER
