"""Which sounds an ingest can skip, because their rows are up to date."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from classifier.errors import NOT_OPENED
from db.results import gone, sounds
from db.results.sounds import KnownSound, sound_key
from db.states import SoundStatus
from tasks.producer.locator import FoundSound


@dataclass(frozen=True, slots=True)
class Reclassify:
    """Which unchanged sounds to classify again; without conditions, all.

    - `below`: only sounds without a label and with a confidence below this.
    - `older_model_only`: only sounds that another model than the champion classified.
    """

    below: float | None = None
    older_model_only: bool = False


@dataclass(slots=True)
class Compared:
    """Found sounds, compared with their rows.

    - `keys`: of all sounds; `row_ids`: of the rows that are not, or no longer, marked as gone.
    - `stale`: sounds to classify.
    - `new`: sounds that may have been moved here: files without a row, and files that have changed
      or are back and have no label of their own.
    - `overwritten`: files that have changed and have a label of their own: another file may have
      been moved there.
    - `skipped_failed`: how many of the rows that are up to date are failures.
    """

    keys: list[bytes]
    row_ids: list[int] = field(default_factory=list)
    stale: list[FoundSound] = field(default_factory=list)
    new: list[FoundSound] = field(default_factory=list)
    overwritten: list[FoundSound] = field(default_factory=list)
    skipped_failed: int = 0


def compare_with_rows(
    connection: Connection,
    found: Sequence[FoundSound],
    reclassify: Reclassify | None = None,
    champion: str | None = None,
) -> Compared:
    """Return which of the sounds to classify; unmark rows whose files were gone and are back.

    - `reclassify`: which unchanged sounds to classify too.
    - `champion`: the version of the model in use, needed for `Reclassify.older_model_only`.
    """
    compared = Compared([sound_key(sound.root, sound.path) for sound in found])
    rows = sounds.find_known(connection, compared.keys)
    back = []
    for key, sound in zip(compared.keys, found, strict=True):
        row = rows.get(key)
        if row is None:
            compared.new.append(sound)
            compared.stale.append(sound)
            continue
        is_back = row.is_gone and sound.is_there
        if is_back:
            back.append(row.id)
        if is_back or not row.is_gone:
            compared.row_ids.append(row.id)
        has_changed = _has_changed(sound, row)
        if (is_back or has_changed) and not row.has_own_label:
            compared.new.append(sound)
        elif has_changed and _stamp(row) not in ((None, None), _stamp(sound)):
            compared.overwritten.append(sound)
        if has_changed or _is_requested(row, reclassify, champion):
            compared.stale.append(sound)
        else:
            compared.skipped_failed += row.status == SoundStatus.FAILED
    gone.mark(connection, back, gone=False)
    return compared


def _has_changed(sound: FoundSound, row: KnownSound) -> bool:
    # If the file could not be opened last time, its row has no size or an earlier one. Trying again
    # is cheap, and the cause may have been fixed.
    if row.file_size_bytes is None or row.error_code in NOT_OPENED:
        return True
    return _stamp(sound) != _stamp(row)


def _stamp(file: FoundSound | KnownSound) -> tuple[int | None, int | None]:
    return file.file_size_bytes, file.mtime_ns


def _is_requested(row: KnownSound, reclassify: Reclassify | None, champion: str | None) -> bool:
    if reclassify is None:
        return False
    is_classified = row.status == SoundStatus.CLASSIFIED
    if reclassify.below is not None:
        # A sound with a label needs no prediction.
        is_sure = row.has_label or row.confidence is None or row.confidence >= reclassify.below
        return is_classified and not is_sure
    if reclassify.older_model_only:
        return is_classified and row.model_version != champion
    return True
