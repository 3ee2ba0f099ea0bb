"""CSV tables of labelled sounds.

Names and header figures are the evidence. The vendor only groups and weights rows. A table's other
columns (folder, repository, where the label came from) are not read, because they hold the answer.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from classifier.categories import CATEGORIES
from classifier.headers.reader import AudioHeader
from classifier.tables.sound_table import CellError, SoundTable, folder_of, header_of, sound_table
from classifier.tables.strict_csv import TableError
from training.data.dataset import LabelledSounds

#: A duration may differ from frame count / sample rate by this much (and 1 %): codecs pad.
DURATION_TOLERANCE_SECONDS: Final = 0.05

_LINES_NAMED: Final = 5


@dataclass(frozen=True)
class TableCounts:
    """What a table held before rows were left out.

    `labelled` rows have a category; `duplicates` of them repeat the name of an earlier one.
    """

    rows: int
    labelled: int
    duplicates: int


def read_table(path: str) -> LabelledSounds:
    """Read labelled sounds from a CSV file, gzipped or not; see `read_counted`."""
    return read_counted(path)[0]


def read_counted(path: str) -> tuple[LabelledSounds, TableCounts]:
    """Read labelled sounds from a CSV file, gzipped or not, and count what was left out.

    The columns ``category`` and ``file_path`` (or ``path``) are needed. ``file_size`` (bytes),
    ``duration`` (seconds), ``sample_rate`` (hertz), ``channels``, ``frame_count`` and
    ``sample_type`` may be absent or empty, which means unknown. Rows are grouped by ``vendor``,
    else by ``pack``, else all are one vendor's; `folder_of` says which are pack-mates. Rows without
    a category are left out, and of rows with one ``file_path`` the first is kept, as in the
    published method. Raises `TableError` for what is no such table; the message names the lines.
    """
    rows = labelled = duplicates = 0
    names: set[str] = set()
    with opened_table(path) as table:
        sounds = SoundRows(table, "vendor", "pack")
        for line, cells in table:
            rows += 1
            category, name = cells["category"], cells[table.name_column]
            if not category:
                continue
            labelled += 1
            if name in names and category in CATEGORIES:
                duplicates += 1
            else:
                names.add(name)
                sounds.add(line, cells)
    return sounds.labelled_sounds(), TableCounts(rows, labelled, duplicates)


@contextmanager
def opened_table(path: str) -> Iterator[SoundTable]:
    """Open a table of labelled sounds; `TableError` if it is none."""
    try:
        with open(path, "rb") as stream, sound_table(stream, path, needed=("category",)) as table:
            yield table
    except OSError as error:
        raise TableError(f"{path}: not a readable CSV table: {error.strerror}") from error


class SoundRows:
    """Rows of a table, collected as labelled sounds; wrong ones are counted.

    The first of `vendor_columns` that the table has groups its rows; without any, all are one
    vendor's.
    """

    def __init__(self, table: SoundTable, *vendor_columns: str) -> None:
        self._table = table
        self._vendor_column = next((name for name in vendor_columns if name in table.columns), None)
        self._rows: list[tuple[str, AudioHeader, str, str, str, str]] = []
        self._faults: list[str] = []
        self._more_faults = 0

    def add(self, line: int, cells: Mapping[str, str]) -> None:
        """Take a row in."""
        category = cells["category"]
        try:
            if category not in CATEGORIES:
                raise CellError(f"unknown category {category!r}")
            header = header_of(cells)
            _check_duration(header)
        except CellError as error:
            if len(self._faults) < _LINES_NAMED:
                self._faults.append(f"line {line}: {error}")
            else:
                self._more_faults += 1
            return
        name = cells[self._table.name_column]
        vendor = "" if self._vendor_column is None else cells[self._vendor_column]
        pack = cells.get("pack", vendor)
        self._rows.append((name, header, category, vendor, pack, folder_of(cells)))

    def labelled_sounds(self) -> LabelledSounds:
        """Return the sounds of all rows; `TableError` if any is wrong, with the first lines."""
        if self._faults:
            more = f"; and {self._more_faults} more" if self._more_faults else ""
            raise TableError(f"{self._table.name}: {'; '.join(self._faults)}{more}")
        columns = zip(*self._rows, strict=True) if self._rows else ([] for _ in range(6))
        return LabelledSounds.from_rows(*map(list, columns))


def _check_duration(header: AudioHeader) -> None:
    """Raise a `CellError` where the duration is not that of the frames: not in seconds, perhaps."""
    duration, rate, frames = header.duration_seconds, header.sample_rate_hz, header.frame_count
    if duration is None or frames is None or not rate:
        return
    stated = frames / rate
    if abs(duration - stated) > DURATION_TOLERANCE_SECONDS + 0.01 * stated:
        raise CellError(
            f"duration {duration:g} is not frame_count / sample_rate, {stated:g} "
            "(it must be in seconds)"
        )
