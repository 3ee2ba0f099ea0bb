"""Labels for training: reading them page by page, deciding the holdout, and counting new ones."""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select, update

from db.bulk import one_of
from db.results.labels import LABELS_AT_ONCE
from db.states import LabelSource
from db.tables import label_history, sounds

if TYPE_CHECKING:
    from classifier.headers.reader import AudioHeader


@dataclass(frozen=True, slots=True)
class LabelledSound:
    """A labelled sound, for training.

    - `header`: all fields are None where the header could not be read.
    - `first_label_id`: the id of the sound's first row in `label_history`; 0 without any.
    - `held_out`: None until `freeze_holdout` decides it permanently.
    """

    id: int
    root: str
    path: str
    pack: str
    vendor: str
    header: "AudioHeader"
    label: str
    source: str
    first_label_id: int
    held_out: bool | None

    @property
    def name(self) -> str:
        """The base name, as expected by `classifier.files.paths.readable_name`."""
        return posixpath.basename(self.path)


def labelled_after(connection: Connection, last_id: int, limit: int) -> list[LabelledSound]:
    """Return the next labelled sounds after `last_id`, by id, without copies (`db.results.copies`).

    Pages start at an id and not at an offset, so that each costs the same, and each may be read in
    a transaction of its own.

    - `last_id`: zero for the first page.

    Returns fewer than `limit` rows only at the end. Failed sounds are included: a label stays valid
    while its file cannot be read.
    """
    # Not imported at the top, so that giving and counting labels does not load libsndfile.
    from classifier.headers.reader import AudioHeader

    table = sounds.c
    first_label = (
        select(func.min(label_history.c.id))
        .where(label_history.c.key == table.key)
        .scalar_subquery()
    )
    query = (
        select(
            table.id,
            table.root,
            table.path,
            table.pack,
            table.vendor,
            table.file_size_bytes,
            table.duration_seconds,
            table.sample_rate_hz,
            table.channels,
            table.frame_count,
            table.sample_type,
            table.label,
            table.label_source,
            table.held_out,
            func.coalesce(first_label, 0).label("first_label_id"),
        )
        .where(table.label.is_not(None), table.label_source != LabelSource.COPY, table.id > last_id)
        .order_by(table.id)
        .limit(limit)
    )
    return [
        LabelledSound(
            row.id,
            row.root,
            row.path,
            row.pack,
            row.vendor,
            AudioHeader(
                row.file_size_bytes,
                row.duration_seconds,
                row.sample_rate_hz,
                row.channels,
                row.frame_count,
                row.sample_type,
            ),
            row.label,
            row.label_source,
            row.first_label_id,
            row.held_out,
        )
        for row in connection.execute(query)
    ]


def freeze_holdout(connection: Connection, held_out_by_id: Mapping[int, bool]) -> int:
    """Decide permanently which sounds are held out; earlier decisions are not changed.

    - `connection`: in a transaction for this page only. Rows are locked in the same order as by
      `db.results.sounds.save`, but only within a page.
    - `held_out_by_id`: at most a page of `labelled_after` (up to 5,000).

    Returns how many were decided by this call. If they are fewer than given, another run has
    decided some in the meantime: read the page again.
    """
    ids = list(held_out_by_id)
    decided = 0
    for start in range(0, len(ids), LABELS_AT_ONCE):
        query = (
            select(sounds.c.id)
            .where(one_of(connection, sounds.c.id, ids[start : start + LABELS_AT_ONCE]))
            .where(sounds.c.held_out.is_(None))
            .order_by(sounds.c.key)
            .with_for_update()
        )
        undecided = connection.scalars(query).all()
        for held_out in (True, False):
            chosen = [sound_id for sound_id in undecided if held_out_by_id[sound_id] is held_out]
            if chosen:
                connection.execute(
                    update(sounds)
                    .where(one_of(connection, sounds.c.id, chosen))
                    .values(held_out=held_out)
                )
        decided += len(undecided)
    return decided


def last_label_id(connection: Connection) -> int:
    """Return the id of the newest row of `label_history`, 0 when there is none."""
    query = select(func.coalesce(func.max(label_history.c.id), 0))
    return int(connection.execute(query).scalar_one())


def labels_since(connection: Connection, history_id: int) -> int:
    """Count the labels given since `last_label_id` returned `history_id`.

    A sound that was labelled twice counts twice. On PostgreSQL, labels of an import that was not
    committed at that moment may be missed, because they got their ids earlier. Training still reads
    them; only this count is too low.
    """
    query = select(func.count()).where(
        label_history.c.id > history_id, label_history.c.source != LabelSource.COPY
    )
    return int(connection.execute(query).scalar_one())
