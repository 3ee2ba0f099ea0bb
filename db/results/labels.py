"""Labels: giving them, reading them out, and reading them for training.

`sounds` holds the current label of each sound, `label_history` every one that was ever given. A
result never touches either (`db.results.sounds.save`), and nothing here ever reads a category as a
label.
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Row, Select, func, select, update

from classifier.categories import category_index
from classifier.errors import CratesortError
from db.bulk import one_of
from db.dialects import insert, now
from db.results.sounds import sound_key
from db.tables import LabelSource, label_history, sounds

if TYPE_CHECKING:
    from classifier.headers.reader import AudioHeader

#: Sounds a statement; SQLite takes 32,766 values in one.
_AT_ONCE: Final = 5000


class UnknownSoundError(CratesortError):
    """A label for a sound the table has no row of."""


@dataclass(frozen=True, slots=True)
class GivenLabel:
    """A label as somebody gives it.

    Attributes
    ----------
    key : bytes
        Of the sound, from `db.results.sounds.sound_key`.
    category : str
        One of `classifier.categories.CATEGORIES`.
    """

    key: bytes
    category: str
    source: LabelSource


@dataclass(frozen=True, slots=True)
class Given:
    """What became of labels that were given.

    Attributes
    ----------
    new : int
        For sounds that had none.
    replaced : int
        The earlier ones stay in the history.
    unchanged : int
        The sound had this very label from this very source; nothing was written.
    """

    new: int = 0
    replaced: int = 0
    unchanged: int = 0

    def __add__(self, other: "Given") -> "Given":
        """Return the counts of both."""
        return Given(
            self.new + other.new,
            self.replaced + other.replaced,
            self.unchanged + other.unchanged,
        )


def give(connection: Connection, labels: Sequence[GivenLabel], *, labelled_by: str) -> Given:
    """Give sounds their labels: append to the history, replace what is current.

    A sound that has this label from this source already is passed over, whoever gave it: an import
    that is repeated, or an export that comes back, leaves no trace. The same label from another
    source is new evidence, and is written.

    Parameters
    ----------
    labels : sequence of GivenLabel
        At most one a sound. Who gives so many that he calls this several times in one transaction
        goes by the order of `key`, as `db.results.sounds.save` does; in another order the two may
        deadlock.
    labelled_by : str
        Who gives them.

    Raises
    ------
    UnknownSoundError
        A sound has no row. What was written before is the caller's to roll back.
    ValueError
        An unknown category, or two labels for one sound.
    """
    for label in labels:
        category_index(label.category)
    ordered = sorted(labels, key=lambda label: label.key)
    if len({label.key for label in ordered}) < len(ordered):
        raise ValueError("expected one label a sound, got two for one")
    given = Given()
    for start in range(0, len(ordered), _AT_ONCE):
        given += _give(connection, ordered[start : start + _AT_ONCE], labelled_by)
    return given


def _give(connection: Connection, labels: Sequence[GivenLabel], labelled_by: str) -> Given:
    by_key = {label.key: label for label in labels}
    rows = connection.execute(
        select(sounds.c.key, sounds.c.root, sounds.c.path, sounds.c.label, sounds.c.label_source)
        .where(one_of(connection, sounds.c.key, list(by_key)))
        .order_by(sounds.c.key)
        # Until the end of the transaction nobody else gives these sounds a label.
        .with_for_update()
    ).all()
    if len(rows) < len(by_key):
        raise UnknownSoundError(
            f"{len(by_key) - len(rows):,} of the sounds to be labelled are not in the database: "
            "ingest them first"
        )
    entries: list[dict[str, Any]] = []
    replaced = 0
    for row in rows:
        label = by_key[bytes(row.key)]
        if (row.label, row.label_source) == (label.category, label.source):
            continue
        replaced += row.label is not None
        entries.append(
            {
                "key": label.key,
                "root": row.root,
                "path": row.path,
                "category": label.category,
                "source": label.source,
                "labelled_by": labelled_by,
            }
        )
    if entries:
        added = connection.scalars(
            insert(connection, label_history)
            .values(labelled_at=now())
            .returning(label_history.c.id),
            entries,
        ).all()
        # Copied from the history, so that the two can never tell different times.
        connection.execute(
            update(sounds)
            .where(
                sounds.c.key == label_history.c.key,
                one_of(connection, label_history.c.id, added),
            )
            .values(
                label=label_history.c.category,
                label_source=label_history.c.source,
                labelled_by=label_history.c.labelled_by,
                labelled_at=label_history.c.labelled_at,
            )
        )
    return Given(len(entries) - replaced, replaced, len(rows) - len(entries))


@dataclass(frozen=True, slots=True)
class CurrentLabel:
    """A sound's label and where it is from."""

    root: str
    path: str
    category: str
    source: LabelSource
    labelled_by: str
    labelled_at: datetime


def current(connection: Connection) -> Iterator[CurrentLabel]:
    """Stream the current labels in path order.

    Parameters
    ----------
    connection : Connection
        Kept until the last is read; rows are fetched by the thousand.
    """
    query = _current_labels().order_by(sounds.c.root, sounds.c.path)
    for row in connection.execute(query.execution_options(yield_per=1000)):
        yield _current_label(row)


def labels_of(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, CurrentLabel]:
    """Return the current labels of some sounds by key; those without are absent."""
    query = _current_labels().where(one_of(connection, sounds.c.key, keys))
    found = map(_current_label, connection.execute(query))
    return {sound_key(label.root, label.path): label for label in found}


def _current_labels() -> Select[Any]:
    table = sounds.c
    return select(
        table.root,
        table.path,
        table.label,
        table.label_source,
        table.labelled_by,
        table.labelled_at,
    ).where(table.label.is_not(None))


def _current_label(row: Row[Any]) -> CurrentLabel:
    return CurrentLabel(
        row.root,
        row.path,
        row.label,
        LabelSource(row.label_source),
        row.labelled_by,
        row.labelled_at,
    )


@dataclass(frozen=True, slots=True)
class LabelledSound:
    """A labelled sound, as training reads it.

    Attributes
    ----------
    header : AudioHeader
        All None where the header could not be read.
    held_out : bool or None
        None: not decided yet; `freeze_holdout` decides it for good.
    """

    id: int
    root: str
    path: str
    pack: str
    vendor: str
    header: "AudioHeader"
    label: str
    source: LabelSource
    held_out: bool | None

    @property
    def name(self) -> str:
        """The base name, as `classifier.files.paths.readable_name` takes it."""
        return posixpath.basename(self.path)


def labelled_after(connection: Connection, last_id: int, limit: int) -> list[LabelledSound]:
    """Return the next labelled sounds behind `last_id`, by id.

    By id and not by offset: each page costs the same, and one transaction a page is enough.

    Parameters
    ----------
    last_id : int
        Zero for the first.

    Returns
    -------
    list of LabelledSound
        Fewer than `limit` at the end only. Failed sounds are among them: what a person says of a
        file outlives a day on which it cannot be read.
    """
    # Not at the top: who gives or counts labels need not load libsndfile.
    from classifier.headers.reader import AudioHeader

    table = sounds.c
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
        )
        .where(table.label.is_not(None), table.id > last_id)
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
            LabelSource(row.label_source),
            row.held_out,
        )
        for row in connection.execute(query)
    ]


def freeze_holdout(connection: Connection, held_out_by_id: Mapping[int, bool]) -> int:
    """Decide for good which sounds are held out; what is decided already stays as it is.

    Parameters
    ----------
    connection : Connection
        In a transaction that does this page only: rows are locked in the order in which
        `db.results.sounds.save` locks them, page by page.
    held_out_by_id : mapping of int to bool
        At most a page of `labelled_after` (up to 5,000).

    Returns
    -------
    int
        How many were open until now. Another run may have decided in between: read the page again
        where this is fewer than asked.
    """
    ids = list(held_out_by_id)
    decided = 0
    for start in range(0, len(ids), _AT_ONCE):
        query = (
            select(sounds.c.id)
            .where(one_of(connection, sounds.c.id, ids[start : start + _AT_ONCE]))
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
    query = select(func.count()).where(label_history.c.id > history_id)
    return int(connection.execute(query).scalar_one())
