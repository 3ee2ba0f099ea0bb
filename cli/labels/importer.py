"""Import a table of labels: all rows are checked before any is written.

Checked rows go into a scratch table whose primary key is the sound's key. It finds two rows for one
sound even if their paths differ, keeps a million rows out of memory, makes one pass over standard
input enough, and returns the labels in the order that `db.results.labels.write_labels` needs.
"""

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final

from classifier.categories import CATEGORIES, category_index
from classifier.tables.strict_csv import cell_bytes, shown
from cli.console.csv_cells import unguarded
from cli.labels.csv_reader import Fault, FaultKind, LabelRow, Unlabelled
from cli.labels.sound_lookup import AmbiguousPath, SoundFinder, WrittenPath
from db.results.copies import SameContent, label_copies
from db.results.labels import LabelChanges, NewLabel, write_labels
from db.scratch_table import scratch_table
from db.states import LabelSource

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: Rows looked up at once.
_ROWS_AT_ONCE: Final = 1000

#: Labels written at once, with one statement each for reading, appending and replacing.
_LABELS_AT_ONCE: Final = 5000

_CACHE_KIB: Final = 32 * 1024

#: An import of more labels does not look for copies: all keys would be kept in memory.
MOST_WITH_COPIES: Final = 50_000

_FAULTS_KEPT: Final = 20

#: Bytes that are not UTF-8, as surrogate escapes.
_NOT_UTF8: Final = re.compile("[\udc80-\udcff]")

_SOURCES: Final = (None, *LabelSource)


class Faults:
    """The rows of a table that are not imported.

    - `counts`: the number of faults by kind.
    - `first`: the first faults of each kind, in the table's order.
    - `unlabelled`: the number of rows with an empty label, which are not faults.
    """

    def __init__(self) -> None:
        self.counts: Counter[FaultKind] = Counter()
        self.first: dict[FaultKind, list[Fault]] = {}
        self.unlabelled = 0

    def add(self, fault: Fault) -> None:
        """Count a fault, and keep it if it is among the first of its kind."""
        self.counts[fault.kind] += 1
        if self.counts[fault.kind] <= _FAULTS_KEPT:
            self.first.setdefault(fault.kind, []).append(fault)

    def __len__(self) -> int:
        """Return the number of faults."""
        return self.counts.total()


class CheckedLabels:
    """Checked labels in a scratch table, at most one for each sound."""

    def __init__(self, table: sqlite3.Connection) -> None:
        self._table = table

    def add(self, key: bytes, row: LabelRow) -> tuple[str, int] | None:
        """Add a row; if the sound has one already, return that row's category and line instead."""
        values = (key, category_index(row.category), _SOURCES.index(row.source), row.line)
        added = self._table.execute("INSERT OR IGNORE INTO scratch VALUES (?, ?, ?, ?)", values)
        if added.rowcount:
            return None
        earlier = "SELECT category, line FROM scratch WHERE key = ?"
        category, line = self._table.execute(earlier, (key,)).fetchone()
        return CATEGORIES[category], line

    def __len__(self) -> int:
        """Return the number of labels."""
        (count,) = self._table.execute("SELECT count(*) FROM scratch").fetchone()
        return int(count)

    def __iter__(self) -> Iterator[NewLabel]:
        """Yield the labels in the order of their sounds' keys."""
        query = "SELECT key, category, source FROM scratch ORDER BY key"
        for key, category, source in self._table.execute(query):
            yield NewLabel(key, CATEGORIES[category], _SOURCES[source])


@contextmanager
def checked_labels() -> Iterator[CheckedLabels]:
    """Give an empty `CheckedLabels` for the block.

    Raises db.scratch_table.ScratchSpaceError: the file system of temporary files is full.
    """
    columns = "key BLOB PRIMARY KEY, category INT, source INT, line INT"
    with scratch_table(columns, cache_kib=_CACHE_KIB) as table:
        yield CheckedLabels(table)


def check(
    rows: Iterable[LabelRow | Unlabelled | Fault],
    finder: SoundFinder,
    checked: CheckedLabels,
    on_progress: Callable[[int], None] = lambda _rows: None,
) -> Faults:
    """Check all rows of a table; nothing is written to the database.

    - `checked`: receives the rows without a fault.
    - `on_progress`: called with how many more rows were checked.
    """
    faults = Faults()
    rows = iter(rows)
    while chunk := list(islice(rows, _ROWS_AT_ONCE)):
        labels = [row for row in chunk if isinstance(row, LabelRow)]
        sounds = iter(finder.find([_written(row) for row in labels]))
        for row in chunk:
            if isinstance(row, Unlabelled):
                faults.unlabelled += 1
                continue
            fault = row if isinstance(row, Fault) else _fault(row, next(sounds), checked)
            if fault is not None:
                faults.add(fault)
        on_progress(len(chunk))
    return faults


def _written(row: LabelRow) -> WrittenPath:
    # Unguarded first, so that a path from an export finds its sound again even if the file's own
    # name starts with a quotation mark.
    cells = dict.fromkeys((unguarded(row.path), row.path))
    return WrittenPath(tuple(map(cell_bytes, cells)), row.root)


def _fault(
    row: LabelRow, sound: bytes | AmbiguousPath | None, checked: CheckedLabels
) -> Fault | None:
    if isinstance(sound, AmbiguousPath):
        kind = FaultKind.AMBIGUOUS_PATH
        reason = f"{sound}; add a column root, or use the full path on this machine"
    elif sound is None and _NOT_UTF8.search(row.path):
        kind = FaultKind.NOT_UTF8
        reason = "no such sound, and the path is not UTF-8; save the table as “CSV UTF-8”"
    elif sound is None:
        kind, reason = FaultKind.UNKNOWN_PATH, "no such sound in the database; ingest it first"
    else:
        earlier = checked.add(sound, row)
        if earlier is None:
            return None
        category, line = earlier
        if category == row.category:
            kind, reason = FaultKind.DUPLICATE, f"same sound as in line {line}"
        else:
            kind = FaultKind.CONFLICT
            reason = f"{row.category} here, but {category} for the same sound in line {line}"
    return Fault(kind, row.line, f"{shown(row.path)}: {reason}")


def write(
    database: "Engine",
    checked: CheckedLabels,
    *,
    same_content: SameContent,
    labelled_by: str,
    on_progress: Callable[[int], None] = lambda _labels: None,
) -> LabelChanges:
    """Write all checked labels and the labels of their sounds' copies in one transaction.

    - `on_progress`: called with how many more labels were written.
    """
    changes = LabelChanges()
    labels = iter(checked)
    keys: list[bytes] = []
    with database.begin() as connection:
        while chunk := list(islice(labels, _LABELS_AT_ONCE)):
            changes += write_labels(connection, chunk, labelled_by=labelled_by)
            if len(keys) <= MOST_WITH_COPIES:
                keys += [label.key for label in chunk]
            on_progress(len(chunk))
        if len(keys) <= MOST_WITH_COPIES:
            changes += label_copies(connection, keys, same_content, labelled_by=labelled_by)
    return changes
