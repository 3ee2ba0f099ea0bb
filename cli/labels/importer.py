"""Importing a table of labels: the whole is checked before anything is written, then all of it is.

Checked rows go into a table of SQLite's own in a temporary file, by the sound's key. That finds two
rows for one sound whatever they call it, keeps a million rows out of memory, makes a second look at
standard input needless, and hands the labels back in the order in which `db.results.labels.give`
wants them.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final

from classifier.categories import CATEGORIES, category_index
from classifier.tables.strict_csv import cell_bytes
from cli.console.csv_cells import unguarded
from cli.labels.csv_reader import Fault, FaultKind, LabelRow, shown
from cli.labels.sound_lookup import AmbiguousPath, SoundFinder, WrittenPath
from db.results.labels import Given, GivenLabel, give
from db.scratch_table import scratch_table
from db.tables import LabelSource

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: Rows looked up at once.
_ROWS_AT_ONCE: Final = 1000

#: Labels given at once, in one statement each of reading, appending and replacing.
_LABELS_AT_ONCE: Final = 5000

_CACHE_KIB: Final = 32 * 1024

_FAULTS_KEPT: Final = 20

_SOURCES: Final = tuple(LabelSource)


class Faults:
    """The rows that cannot be taken: all counted, the first of each kind kept.

    Attributes
    ----------
    first : dict of FaultKind to list of Fault
        Up to twenty each, in the table's order.
    """

    def __init__(self) -> None:
        self.counts: Counter[FaultKind] = Counter()
        self.first: dict[FaultKind, list[Fault]] = {}

    def add(self, fault: Fault) -> None:
        """Count one, and keep it if it is among the first of its kind."""
        self.counts[fault.kind] += 1
        if self.counts[fault.kind] <= _FAULTS_KEPT:
            self.first.setdefault(fault.kind, []).append(fault)

    def __len__(self) -> int:
        """Return how many there are."""
        return self.counts.total()


class CheckedLabels:
    """Labels that can be given, one a sound, outside of memory."""

    def __init__(self, table: sqlite3.Connection) -> None:
        self._table = table

    def add(self, key: bytes, row: LabelRow) -> tuple[str, int] | None:
        """Keep a row; return category and line of the earlier row when the sound has one."""
        values = (key, category_index(row.category), _SOURCES.index(row.source), row.line)
        added = self._table.execute("INSERT OR IGNORE INTO scratch VALUES (?, ?, ?, ?)", values)
        if added.rowcount:
            return None
        earlier = "SELECT category, line FROM scratch WHERE key = ?"
        category, line = self._table.execute(earlier, (key,)).fetchone()
        return CATEGORIES[category], line

    def __len__(self) -> int:
        """Return how many there are."""
        (count,) = self._table.execute("SELECT count(*) FROM scratch").fetchone()
        return int(count)

    def __iter__(self) -> Iterator[GivenLabel]:
        """Yield them in the order of their sounds' keys."""
        query = "SELECT key, category, source FROM scratch ORDER BY key"
        for key, category, source in self._table.execute(query):
            yield GivenLabel(key, CATEGORIES[category], _SOURCES[source])


@contextmanager
def checked_labels() -> Iterator[CheckedLabels]:
    """Make room for checked labels for the block.

    Raises
    ------
    db.scratch_table.ScratchSpaceError
        There is no room in a temporary file.
    """
    columns = "key BLOB PRIMARY KEY, category INT, source INT, line INT"
    with scratch_table(columns, cache_kib=_CACHE_KIB) as table:
        yield CheckedLabels(table)


def check(
    rows: Iterable[LabelRow | Fault],
    finder: SoundFinder,
    checked: CheckedLabels,
    on_progress: Callable[[int], None] = lambda _rows: None,
) -> Faults:
    """Check all rows of a table; nothing is written to the database.

    Parameters
    ----------
    rows : iterable of LabelRow or Fault
        From `cli.labels.csv_reader.read_label_table`.
    checked : CheckedLabels
        Gets the rows that can be taken.
    on_progress : callable
        Told now and then how many rows more were checked.
    """
    faults = Faults()
    rows = iter(rows)
    while chunk := list(islice(rows, _ROWS_AT_ONCE)):
        good = [row for row in chunk if isinstance(row, LabelRow)]
        found = iter(finder.find([_written(row) for row in good]))
        for row in chunk:
            fault = row if isinstance(row, Fault) else _fault(row, next(found), checked)
            if fault is not None:
                faults.add(fault)
        on_progress(len(chunk))
    return faults


def _written(row: LabelRow) -> WrittenPath:
    # Unguarded first: what an export wrote then means the same sound again, also where a file's
    # own name starts with a quotation mark.
    cells = dict.fromkeys((unguarded(row.path), row.path))
    return WrittenPath(tuple(map(cell_bytes, cells)), row.root)


def _fault(
    row: LabelRow, found: bytes | AmbiguousPath | None, checked: CheckedLabels
) -> Fault | None:
    path = shown(row.path)
    if isinstance(found, AmbiguousPath):
        roots = " and ".join(map(shown, found.roots))
        return Fault(
            FaultKind.AMBIGUOUS_PATH,
            row.line,
            f"{path}: the roots {roots} both have it; add a column root, or write the path as it "
            "is on this machine",
        )
    if found is None:
        if not row.path.isascii() and not _is_unicode(row.path):
            return Fault(
                FaultKind.NOT_UTF8,
                row.line,
                f"{path}: no such sound, and it is not UTF-8; save the table as “CSV UTF-8”",
            )
        return Fault(
            FaultKind.UNKNOWN_PATH,
            row.line,
            f"{path}: no such sound in the database; ingest it first",
        )
    earlier = checked.add(found, row)
    if earlier is None:
        return None
    category, line = earlier
    if category == row.category:
        return Fault(FaultKind.DUPLICATE, row.line, f"{path}: the same sound as in line {line}")
    return Fault(
        FaultKind.CONFLICT,
        row.line,
        f"{path}: {row.category} here, {category} for the same sound in line {line}",
    )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def write(
    database: "Engine",
    checked: CheckedLabels,
    *,
    labelled_by: str,
    on_progress: Callable[[int], None] = lambda _labels: None,
) -> Given:
    """Give all checked labels in one transaction.

    Parameters
    ----------
    on_progress : callable
        Told now and then how many labels more were written.
    """
    given = Given()
    labels = iter(checked)
    with database.begin() as connection:
        while some := list(islice(labels, _LABELS_AT_ONCE)):
            given += give(connection, some, labelled_by=labelled_by)
            on_progress(len(some))
    return given
