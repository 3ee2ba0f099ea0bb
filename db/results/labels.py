"""Give and read labels.

`sounds` has the current label of each sound, `label_history` every label that was ever given. A
result never replaces a label (`db.results.sounds.save`), and a category from the model is never
used as a label.
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

#: Sounds per statement; SQLite accepts 32,766 values in one.
LABELS_AT_ONCE: Final = 5000


class UnknownSoundError(CratesortError):
    """A label was given for a sound without a row."""


@dataclass(frozen=True, slots=True)
class NewLabel:
    """A label to be given.

    - `key`: of the sound, from `db.results.sounds.sound_key`.
    - `category`: one of `classifier.categories.CATEGORIES`.
    - `source`: None for `LabelSource.HUMAN`, but a label that does not change the category is then
      skipped, whatever its source is.
    """

    key: bytes
    category: str
    source: LabelSource | None


@dataclass(frozen=True, slots=True)
class LabelChanges:
    """How many labels were written or skipped.

    - `new`: labels for sounds that had none.
    - `replaced`: labels that replaced another one, which stays in the history.
    - `unchanged`: labels that were skipped (see `write_labels`).
    - `copies`: copies of the sounds that inherited a label (`db.results.copies`).
    """

    new: int = 0
    replaced: int = 0
    unchanged: int = 0
    copies: int = 0

    def __add__(self, other: "LabelChanges") -> "LabelChanges":
        """Return the counts of both."""
        return LabelChanges(
            self.new + other.new,
            self.replaced + other.replaced,
            self.unchanged + other.unchanged,
            self.copies + other.copies,
        )


def write_labels(
    connection: Connection, labels: Sequence[NewLabel], *, labelled_by: str
) -> LabelChanges:
    """Give sounds their labels: append them to the history, and make them current.

    A sound that already has this label from this source is skipped, whatever `labelled_by` is, so
    that a repeated import changes nothing. The same label from another source is new evidence, and
    is written. A copy's inherited label never replaces one that was given.

    - `labels`: at most one per sound. Several calls in one transaction must go by the order of
      `key`, as `db.results.sounds.save` does; otherwise the two may deadlock.
    - `labelled_by`: the user or the import that gives them.

    Raises UnknownSoundError: a sound has no row. The caller must roll back what was written before.
    Raises ValueError: an unknown category, or two labels for one sound.
    """
    for label in labels:
        category_index(label.category)
    ordered = sorted(labels, key=lambda label: label.key)
    if len({label.key for label in ordered}) < len(ordered):
        raise ValueError("expected at most one label per sound")
    changes = LabelChanges()
    for start in range(0, len(ordered), LABELS_AT_ONCE):
        changes += _write_labels(connection, ordered[start : start + LABELS_AT_ONCE], labelled_by)
    return changes


def _write_labels(
    connection: Connection, labels: Sequence[NewLabel], labelled_by: str
) -> LabelChanges:
    by_key = {label.key: label for label in labels}
    rows = connection.execute(
        select(sounds.c.key, sounds.c.root, sounds.c.path, sounds.c.label, sounds.c.label_source)
        .where(one_of(connection, sounds.c.key, list(by_key)))
        .order_by(sounds.c.key)
        # No other transaction may label these sounds until this one ends.
        .with_for_update()
    ).all()
    if len(rows) < len(by_key):
        raise UnknownSoundError(
            f"{len(by_key) - len(rows):,} of the sounds to be labelled are not in the database; "
            "ingest them first"
        )
    entries: list[dict[str, Any]] = []
    replaced = 0
    for row in rows:
        label = by_key[bytes(row.key)]
        source = label.source or LabelSource.HUMAN
        if row.label is not None and (
            # A label that was given to the copy itself is kept.
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
        # Copied from the history, so that both tables have the same time.
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
    return LabelChanges(len(entries) - replaced, replaced, len(rows) - len(entries))


@dataclass(frozen=True, slots=True)
class CurrentLabel:
    """A sound's label, and where it is from."""

    root: str
    path: str
    category: str
    source: str
    labelled_by: str
    labelled_at: datetime


def current(connection: Connection) -> Iterator[CurrentLabel]:
    """Stream the current labels in path order, for an export.

    Labels of copies are left out. So are labels of files that are gone, because an import would not
    find these sounds.

    - `connection`: in use until the last row is read; rows are fetched by the thousand.
    """
    query = (
        _current_labels()
        .where(sounds.c.label_source != LabelSource.COPY, text(PRESENT))
        .order_by(sounds.c.root, sounds.c.path)
    )
    for row in connection.execute(query.execution_options(yield_per=1000)):
        yield _current_label(row)


def labels_of(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, CurrentLabel]:
    """Return the current labels of some sounds by key; sounds without a label are absent."""
    query = _current_labels().where(one_of(connection, sounds.c.key, keys))
    current_labels = map(_current_label, connection.execute(query))
    return {sound_key(label.root, label.path): label for label in current_labels}


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
