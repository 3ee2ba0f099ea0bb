"""Enumerated values stored in columns of the tables."""

from enum import StrEnum
from typing import Final


class BatchState(StrEnum):
    """The state of a batch in the ledger.

    ``pending``: written, no message yet. ``queued``: a message was (or is about to be) sent.
    ``running``: claimed under a lease. ``done``: every one of its sounds has a row.
    """

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"


class LabelSource(StrEnum):
    """Where a label comes from.

    ``human``: a user listened or looked. ``vendor``: stated by the maker of the sound.
    ``import``: from another catalogue, or of unknown origin. ``copy``: inherited from the sound
    that this file is a copy of (`db.results.copies`).
    """

    HUMAN = "human"
    VENDOR = "vendor"
    IMPORT = "import"
    COPY = "copy"


#: The sources that may be stated when a label is given.
LABEL_SOURCES: Final = (LabelSource.HUMAN, LabelSource.VENDOR, LabelSource.IMPORT)


class SoundStatus(StrEnum):
    """How the latest attempt to classify a sound ended."""

    CLASSIFIED = "classified"
    FAILED = "failed"


class RunState(StrEnum):
    """The state of a training run; ``running`` under a lease."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class RunTrigger(StrEnum):
    """What started a training run."""

    SCHEDULE = "schedule"
    HAND = "hand"


class RunVerdict(StrEnum):
    """What was decided about a training run's model.

    ``promoted``: it is in use. ``kept``: it did not beat the champion, which stays in use.
    ``stored``: the operator decides whether to promote it.
    """

    PROMOTED = "promoted"
    KEPT = "kept"
    STORED = "stored"
