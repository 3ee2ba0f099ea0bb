"""Which sounds an ingest can skip, because their rows are up to date."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import Connection

from db.results import sounds
from db.results.sounds import KnownSound
from db.states import SoundStatus
from tasks.producer.locator import FoundSound, root_of


@dataclass(frozen=True, slots=True)
class Reclassify:
    """Which unchanged sounds are classified again nevertheless; without conditions, all.

    - `below`: only those with a confidence below this.
    - `older_model_only`: only those that another model than the champion classified.
    """

    below: float | None = None
    older_model_only: bool = False


def needs_classification(
    connection: Connection,
    chunk: Iterable[FoundSound],
    reclassify: Reclassify | None = None,
    champion: str | None = None,
) -> tuple[list[FoundSound], int]:
    """Return the sounds to classify, and how many of the others are failures.

    - `chunk`: those of one root beside each other.
    - `reclassify`: which unchanged sounds to classify too.
    - `champion`: the version of the model in service, where `reclassify` compares it.
    """
    stale: list[FoundSound] = []
    failed = 0
    for root, group in groupby(chunk, key=root_of):
        of_root = list(group)
        rows = sounds.known(connection, root, [sound.path for sound in of_root])
        for sound in of_root:
            row = rows.get(sound.path)
            if row is None or _has_changed(sound, row) or _again(row, reclassify, champion):
                stale.append(sound)
            else:
                failed += row.status is SoundStatus.FAILED
    return stale, failed


def _has_changed(sound: FoundSound, row: KnownSound) -> bool:
    # A row without a size is of a file that could not be opened: missing, forbidden, or a folder.
    # Nothing can be compared, another look is cheap, and the cause may have been fixed.
    if row.file_size_bytes is None:
        return True
    return (sound.file_size_bytes, sound.mtime_ns) != (row.file_size_bytes, row.mtime_ns)


def _again(row: KnownSound, reclassify: Reclassify | None, champion: str | None) -> bool:
    if reclassify is None:
        return False
    if reclassify.below is not None:
        return row.confidence is not None and row.confidence < reclassify.below
    if reclassify.older_model_only:
        return row.model_version is not None and row.model_version != champion
    return True
