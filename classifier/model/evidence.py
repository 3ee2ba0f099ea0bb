"""Kinds of evidence for a category: known sound words in the name or its pack-mates' names.

Other words are not evidence, however confident a model is of them. This module imports no model,
because the kinds are also needed where no model is loaded.
"""

from enum import StrEnum
from typing import Final


class Evidence(StrEnum):
    """The evidence for a predicted category."""

    #: All known words of the name indicate it.
    NAME = "name"
    #: The name has no known word, and the known words of its pack-mates agree on the category.
    PACK_MATES = "mates"
    #: Known words of the name contradict it, or the pack-mates agree on another category.
    CONTRADICTED = "contradicted"
    #: No known word indicates it.
    NONE = "none"
    #: As `NAME`, if the name was prefixed with its folders' words.
    FOLDER = "folder"
    #: The file is a MIDI file, whatever its name.
    FORMAT = "format"


#: The kinds that are calibrated, in the order of their indices.
KINDS: Final = (Evidence.NAME, Evidence.PACK_MATES, Evidence.CONTRADICTED, Evidence.NONE)


def evidence_of(kind: int, *, has_folder_words: bool) -> Evidence:
    """Return the evidence of this index; `FOLDER` replaces `NAME` for names with folder words."""
    evidence = KINDS[kind]
    return Evidence.FOLDER if has_folder_words and evidence is Evidence.NAME else evidence
