"""CSV tables of labelled sounds.

A model's inputs are names and header values. Vendor, pack and folder only group rows; their text is
never an input, because it may reveal the category.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from classifier.categories import category_named
from classifier.files.paths import LONGEST_NAME
from classifier.headers.reader import AudioHeader
from classifier.tables.columns import NO_NAMES
from classifier.tables.sound_table import CellError, SoundTable, folder_of, header_of, sound_table
from classifier.tables.strict_csv import TableError, shown, shown_columns
from training.data.dataset import LabelledSounds
from training.data.name_codes import codes_of

#: Allowed difference between duration and frame count / sample rate, plus 1 %: codecs add padding.
DURATION_TOLERANCE_SECONDS: Final = 0.05

_LINES_NAMED: Final = 5


#: Columns that only `cratesort predict` writes.
_OF_PREDICTIONS: Final = frozenset({"confidence", "top3"})

#: Columns that may distinguish vendors if the user names none.
_VENDOR_COLUMNS: Final = ("vendor", "pack")


@dataclass(frozen=True)
class TableCounts:
    """Row counts of a table before rows were left out, and how its sounds are grouped.

    `labelled` rows have a category; `duplicates` are labelled rows that repeat an earlier name.
    `grouped_by` describes what distinguishes vendors. If nothing does, all sounds are in one group
    and `ungrouped` explains what is missing.
    """

    rows: int
    labelled: int
    duplicates: int
    grouped_by: str = ""
    ungrouped: str | None = None

    @property
    def grouping(self) -> str:
        """What distinguishes vendors, or what is missing, as a sentence without a full stop."""
        return self.ungrouped or f"vendors are identified by {self.grouped_by}"


def read_table(path: str) -> LabelledSounds:
    """Read labelled sounds from a CSV file, plain or gzipped; see `read_counted`."""
    return read_counted(path)[0]


def read_counted(
    path: str, *, renamed: Mapping[str, str] = NO_NAMES, group: str | None = None
) -> tuple[LabelledSounds, TableCounts]:
    """Read labelled sounds from a CSV file, plain or gzipped, and count its rows.

    The columns ``category`` and ``file_path`` (or ``path``) are required; `renamed` maps our
    columns to the table's names for them. ``file_size`` (bytes), ``duration`` (seconds),
    ``sample_rate`` (hertz), ``channels``, ``frame_count`` and ``sample_type`` may be absent or
    empty, which means unknown. Rows are grouped by the column `group`, else by the first of
    ``vendor`` and ``pack`` with more than one value, else by the code that begins their names
    (`codes_of`). Pack-mates are rows with the same `folder_of`. Rows without a category are left
    out. If several rows have the same name, the first is kept, as in the published method. Raises
    `TableError` if the table is not valid; the message names the lines.
    """
    group = None if group is None else group.strip().lower()
    rows = labelled = duplicates = 0
    names: set[str] = set()
    with opened_table(path, renamed) as table:
        if group is not None and group not in table.columns:
            raise TableError(
                f"{path}, line 1: there is no column {group} (--group); expected one of "
                f"{shown_columns(table.columns)}"
            )
        if set(table.columns) >= _OF_PREDICTIONS:
            raise TableError(
                f"{path} looks like the output of `cratesort predict`: its categories are "
                "predictions of a model, and a model must not be trained on its own predictions"
            )
        sounds = SoundRows(table, *(_VENDOR_COLUMNS if group is None else (group,)))
        for line, cells in table:
            rows += 1
            spelled, name = cells["category"].strip(), cells[table.name_column]
            if not spelled:
                continue
            labelled += 1
            if name in names and category_named(spelled):
                duplicates += 1
            else:
                names.add(name)
                sounds.add(line, cells)
    sounds_of_table = sounds.labelled_sounds()
    counts = TableCounts(rows, labelled, duplicates, f"the column {sounds.vendor_column}")
    if len(set(sounds_of_table.vendors)) > 1:
        return sounds_of_table, counts
    codes = codes_of(sounds_of_table.names, sounds_of_table.category_indices)
    if codes is not None and group is None:
        sounds_of_table = replace(
            sounds_of_table, vendors=codes, packs=sounds_of_table.packs + codes
        )
        return sounds_of_table, replace(counts, grouped_by="the code at the start of their names")
    return sounds_of_table, replace(counts, grouped_by="", ungrouped=_lacking(table, group))


def _lacking(table: SoundTable, group: str | None) -> str:
    """Return a message that explains why vendors cannot be distinguished, and what to do."""
    candidates = _VENDOR_COLUMNS if group is None else (group,)
    why = [
        f"the column {column} has only one value"
        if column in table.columns
        else f"there is no column {column}"
        for column in candidates
    ]
    if group is None:
        why.append("too few names start with a code such as ABC_")
    other_columns = [column for column in table.columns if column not in candidates]
    return (
        f"vendors cannot be identified: {', '.join(why)}. Name another column with --group "
        f"COLUMN; the table has {shown_columns(other_columns)}"
    )


@contextmanager
def opened_table(path: str, renamed: Mapping[str, str] = NO_NAMES) -> Iterator[SoundTable]:
    """Open a table of labelled sounds; raises `TableError` if the file is not one."""
    try:
        with (
            open(path, "rb") as stream,
            sound_table(stream, path, needed=("category",), renamed=renamed) as table,
        ):
            yield table
    except OSError as error:
        raise TableError(f"{path} cannot be read as a CSV table: {error.strerror}") from error


class SoundRows:
    """Collects rows of a table as labelled sounds, and the faults of invalid rows.

    Rows are grouped by the first of `vendor_columns` with more than one value, else by the first
    that the table has. Without any of them, all rows are in one group.
    """

    def __init__(self, table: SoundTable, *vendor_columns: str) -> None:
        self._table = table
        self._vendors: dict[str, list[str]] = {
            column: [] for column in vendor_columns if column in table.columns
        }
        self._rows: list[tuple[str, AudioHeader, str, str | None, str]] = []
        self._faults: list[str] = []
        self._more_faults = 0

    @property
    def vendor_column(self) -> str:
        """The column that groups the rows; "" if there is none."""
        apart = [column for column, values in self._vendors.items() if len(set(values)) > 1]
        return next(iter([*apart, *self._vendors]), "")

    def add(self, line: int, cells: Mapping[str, str]) -> None:
        """Add a row; a fault in it is recorded and reported by `labelled_sounds`."""
        category = category_named(cells["category"])
        try:
            if category is None:
                raise CellError(f"unknown category '{shown(cells['category'])}'")
            header = header_of(cells)
            _check_duration(header)
            _check_names(cells, dict.fromkeys([*self._vendors, "pack"]))
        except CellError as error:
            if len(self._faults) < _LINES_NAMED:
                self._faults.append(f"line {line}: {error}")
            else:
                self._more_faults += 1
            return
        for column, values in self._vendors.items():
            values.append(cells[column])
        name = cells[self._table.name_column]
        self._rows.append((name, header, category, cells.get("pack"), folder_of(cells)))

    def labelled_sounds(self) -> LabelledSounds:
        """Return the sounds of all rows; raises `TableError` with the first invalid lines."""
        if self._faults:
            more = f"; and {self._more_faults} more" if self._more_faults else ""
            raise TableError(f"{self._table.name}: {'; '.join(self._faults)}{more}")
        columns = zip(*self._rows, strict=True) if self._rows else ([] for _ in range(5))
        names, headers, categories, packs, folders = map(list, columns)
        vendors = self._vendors.get(self.vendor_column, [""] * len(names))
        pairs = zip(packs, vendors, strict=True)
        packs = [vendor if pack is None else pack for pack, vendor in pairs]
        return LabelledSounds.from_rows(names, headers, categories, vendors, packs, folders)


def _check_names(cells: Mapping[str, str], columns: Iterable[str]) -> None:
    for column in columns:
        length = len(cells.get(column, ""))
        if length > LONGEST_NAME:
            raise CellError(f"{column} has {length:,} characters; expected at most {LONGEST_NAME}")


def _check_duration(header: AudioHeader) -> None:
    """Raise `CellError` if the duration contradicts the frame count; it may not be in seconds."""
    duration, rate, frames = header.duration_seconds, header.sample_rate_hz, header.frame_count
    if duration is None or frames is None or not rate:
        return
    stated = frames / rate
    if abs(duration - stated) > DURATION_TOLERANCE_SECONDS + 0.01 * stated:
        raise CellError(
            f"duration {duration:g} differs from frame_count / sample_rate, {stated:g}; expected "
            "a duration in seconds"
        )
