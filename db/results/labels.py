"""Labels: giving them, and reading them out.

`sounds` holds the current label of each sound, `label_history` every one that was ever given. A
result never touches either (`db.results.sounds.save`), and nothing here ever reads a category as a
label.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, select, text, update

from classifier.categories import category_index
from classifier.errors import CratesortError
from db.bulk import one_of
from db.dialects import insert, now
from db.results.sounds import sound_key
from db.states import LabelSource
from db.tables import PRESENT, label_history, sounds

#: Sounds a statement; SQLite takes 32,766 values in one.
LABELS_AT_ONCE: Final = 5000


class UnknownSoundError(CratesortError):
    """A label for a sound the table has no row of."""


@dataclass(frozen=True, slots=True)
class GivenLabel:
    """A label as somebody gives it.

    - `key`: of the sound, from `db.results.sounds.sound_key`.
    - `category`: one of `classifier.categories.CATEGORIES`.
    - `source`: None: a person's, where it is not the sound's label already.
    """

    key: bytes
    category: str
    source: LabelSource | None


@dataclass(frozen=True, slots=True)
class Given:
    """What became of labels that were given.

    - `new`: for sounds that had none.
    - `replaced`: the earlier ones stay in the history.
    - `unchanged`: the sound had this very label from this very source; nothing was written.
    - `copies`: of their sounds that follow from now on (`db.results.copies`).
    """

    new: int = 0
    replaced: int = 0
    unchanged: int = 0
    copies: int = 0

    def __add__(self, other: "Given") -> "Given":
        """Return the counts of both."""
        return Given(
            self.new + other.new,
            self.replaced + other.replaced,
            self.unchanged + other.unchanged,
            self.copies + other.copies,
        )


def give(connection: Connection, labels: Sequence[GivenLabel], *, labelled_by: str) -> Given:
    """Give sounds their labels: append to the history, replace what is current.

    A sound that has this label from this source already is passed over, whoever gave it: an import
    that is repeated, or an export that comes back, leaves no trace. The same label from another
    source is new evidence, and is written.

    - `labels`: at most one a sound. Who gives so many that he calls this several times in one
      transaction goes by the order of `key`, as `db.results.sounds.save` does; in another order the
      two may deadlock.
    - `labelled_by`: who gives them.

    Raises UnknownSoundError: a sound has no row. What was written before is the caller's to roll
    back.
    Raises ValueError: an unknown category, or two labels for one sound.
    """
    for label in labels:
        category_index(label.category)
    ordered = sorted(labels, key=lambda label: label.key)
    if len({label.key for label in ordered}) < len(ordered):
        raise ValueError("expected one label a sound, got two for one")
    given = Given()
    for start in range(0, len(ordered), LABELS_AT_ONCE):
        given += _give(connection, ordered[start : start + LABELS_AT_ONCE], labelled_by)
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
        source = label.source or LabelSource.HUMAN
        if row.label is not None and (
            # Of a copy, what somebody said stands.
            (source == LabelSource.COPY and row.label_source != LabelSource.COPY)
            or (row.label == label.category and label.source in (None, row.label_source))
        ):
            continue
        replaced += row.label is not None
        entries.append(
            {
                "key": label.key,
                "root": row.root,
                "path": row.path,
                "category": label.category,
                "source": source,
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
    source: str
    labelled_by: str
    labelled_at: datetime


def current(connection: Connection) -> Iterator[CurrentLabel]:
    """Stream the current labels in path order.

    Without those that only follow another, and those of files that are gone: where the labels are
    imported, nobody would know these files.

    - `connection`: kept until the last is read; rows are fetched by the thousand.
    """
    query = (
        _current_labels()
        .where(sounds.c.label_source != LabelSource.COPY, text(PRESENT))
        .order_by(sounds.c.root, sounds.c.path)
    )
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
        row.label_source,
        row.labelled_by,
        row.labelled_at,
    )
