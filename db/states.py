"""The words that columns of the tables hold."""

from enum import StrEnum
from typing import Final


class BatchState(StrEnum):
    """Where a batch of the ledger stands.

    ``pending``: written, no message yet. ``queued``: a message was (or is about to be) sent.
    ``running``: claimed under a lease. ``done``: every one of its sounds has a row.
    """

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"


class LabelSource(StrEnum):
    """Where a label comes from.

    ``human``: a person listened or looked. ``vendor``: the maker of the sound says so. ``import``:
    another catalogue, or nobody remembers. ``copy``: given to a copy of the sound
    (`db.results.copies`); nobody said it of this file.
    """

    HUMAN = "human"
    VENDOR = "vendor"
    IMPORT = "import"
    COPY = "copy"


#: What may be said of a label that somebody gives.
GIVEN_SOURCES: Final = (LabelSource.HUMAN, LabelSource.VENDOR, LabelSource.IMPORT)


class SoundStatus(StrEnum):
    """How a sound's latest visit ended."""

    CLASSIFIED = "classified"
    FAILED = "failed"


class RunState(StrEnum):
    """Where a training run stands; ``running`` under a lease."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class RunTrigger(StrEnum):
    """What started a training run."""

    SCHEDULE = "schedule"
    HAND = "hand"


class RunVerdict(StrEnum):
    """What became of a training run's model.

    ``promoted``: it serves. ``kept``: the champion was not beaten. ``stored``: it waits for a
    person to decide.
    """

    PROMOTED = "promoted"
    KEPT = "kept"
    STORED = "stored"
