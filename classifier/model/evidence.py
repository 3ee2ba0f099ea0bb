"""What a category rests on: words that makers of sounds use, in the name or its pack-mates' names.

All other words count for nothing here, however sure a model is of them. The names of the kinds are
needed where no model is: this module loads nothing.
"""

from enum import StrEnum
from typing import Final


class Evidence(StrEnum):
    """What a category rests on."""

    #: All known words of the name speak for it.
    NAME = "name"
    #: The name has no known word, and those of its pack-mates agree on the category.
    PACK_MATES = "mates"
    #: Known words of the name speak against it, or those of all pack-mates against the name's.
    CONTRADICTED = "contradicted"
    #: No known word speaks for it.
    NONE = "none"
    #: As `NAME`, where the name was prefixed with its folders' words.
    FOLDER = "folder"
    #: A MIDI file, whatever its name says.
    FORMAT = "format"


#: The kinds that are calibrated, in the order of their indices.
KINDS: Final = (Evidence.NAME, Evidence.PACK_MATES, Evidence.CONTRADICTED, Evidence.NONE)


def evidence_of(kind: int, *, has_folder_words: bool) -> Evidence:
    """Return the evidence of this kind for a name that may begin with its folders' words."""
    found = KINDS[kind]
    return Evidence.FOLDER if has_folder_words and found is Evidence.NAME else found
