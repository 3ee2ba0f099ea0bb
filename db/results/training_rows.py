"""Labels as training reads them: page by page, with who is held out, and how many are new."""

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
    """A labelled sound, as training reads it.

    - `header`: all None where the header could not be read.
    - `first_label_id`: of the entry of the labels' history that first labelled it.
    - `held_out`: None while it is not decided; `freeze_holdout` decides it for good.
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
        """The base name, as `classifier.files.paths.readable_name` takes it."""
        return posixpath.basename(self.path)


def labelled_after(connection: Connection, last_id: int, limit: int) -> list[LabelledSound]:
    """Return the next labelled sounds behind `last_id`, by id, without copies of such.

    By id and not by offset: each page costs the same, and one transaction a page is enough.

    - `last_id`: zero for the first.

    Fewer than `limit` come at the end only. Failed sounds are among them: what a person says of
    a file outlives a day on which it cannot be read.
    """
    # Not at the top: who gives or counts labels need not load libsndfile.
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
    """Decide for good which sounds are held out; what is decided already stays as it is.

    - `connection`: in a transaction that does this page only: rows are locked in the order in which
      `db.results.sounds.save` locks them, page by page.
    - `held_out_by_id`: at most a page of `labelled_after` (up to 5,000).

    Returns how many were open until now. Another run may have decided in between: read the page
    again where this is fewer than asked.
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
    """Return the id of the latest entry of the history, 0 when there is none."""
    query = select(func.coalesce(func.max(label_history.c.id), 0))
    return int(connection.execute(query).scalar_one())


def labels_since(connection: Connection, history_id: int) -> int:
    """Count the labels given since `last_label_id` returned `history_id`.

    Entries, not sounds: a sound that was labelled twice counts twice. On PostgreSQL an import that
    was under way at that moment may be missed, for it got its ids earlier; training reads its
    labels all the same, and only the question whether there are enough new ones comes out lower.
    """
    query = select(func.count()).where(
        label_history.c.id > history_id, label_history.c.source != LabelSource.COPY
    )
    return int(connection.execute(query).scalar_one())
