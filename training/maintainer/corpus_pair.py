"""Two labelled tables that are tested separately and learned together.

The first contains names and headers, the second only names, of other vendors. A vendor that occurs
in both gets one name (`vendor_aliases`), so that holding out a vendor holds out all its rows.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifier.tables.sound_table import SoundTable
from training.data.csv_tables import SoundRows, opened_table
from training.data.dataset import LabelledSounds
from training.data.splits import Rows, vendor_folds
from training.errors import TrainingError
from training.evaluation.experiment import Split
from training.maintainer.vendor_aliases import (
    IN_CORPUS,
    GroupedTable,
    linked_vendors,
    links_between,
)

#: Most tested names per vendor and category, because a few vendors have most of the names.
CAP: Final = 40

#: Fixed seed, so that all runs test the same names whatever their own seed.
_CAP_SEED: Final = 7

#: MIDI files are not sounds.
_NO_SOUNDS: Final = (".mid", ".midi")

#: A fit needs two training rows.
_FEWEST_LEARNED: Final = 2


@dataclass(frozen=True)
class TwoTables:
    """Both tables, with the same vendor names.

    `corpus` has names and headers, `names` all names that may be learned, and `capped` the rows of
    `names` that are tested.
    """

    corpus: LabelledSounds
    names: LabelledSounds
    capped: Rows

    @property
    def tested_names(self) -> LabelledSounds:
        """The names that are tested."""
        return self.names.take(self.capped)

    @property
    def all_sounds(self) -> LabelledSounds:
        """The sounds of both tables; a name in both is taken from the table with headers."""
        corpus_names = set(self.corpus.names)
        rows = [row for row, name in enumerate(self.names.names) if name not in corpus_names]
        return self.corpus.joined(self.names.take(np.array(rows, dtype=np.int64)))

    @property
    def untested_names(self) -> LabelledSounds:
        """The names that are not tested; they may be pack-mates of the tested ones."""
        return self.names.take(np.setdiff1d(np.arange(len(self.names)), self.capped))


def read_two_tables(corpus_path: str, names_path: str) -> TwoTables:
    """Read a table of names and headers, and a table of names; see `csv_tables.read_counted`.

    The column ``repo`` of the first table links vendors of both. Rows of the second table are
    grouped by ``vendor_group`` if there is this column; MIDI files and rows with ``in_corpus`` 1
    are left out. Raises `TableError` if a table is not valid; the message names the lines.
    """
    corpus_source, corpus_table = _read_table(corpus_path, "vendor", "pack")
    names_source, names_table = _read_table(names_path, "vendor_group", "vendor", "pack")
    corpus_rows = _labelled(corpus_table).drop_duplicates(corpus_table.name_column)
    names_rows = learnable_names(_labelled(names_table), names_table.name_column)
    corpus = _sounds_of(corpus_source, corpus_rows, corpus_table.vendor_column)
    names = _sounds_of(names_source, names_rows, names_table.vendor_column)
    group_names = linked_vendors(
        [*np.unique(corpus.vendors.astype(str)), *np.unique(names.vendors.astype(str))],
        links_between(corpus_table, names_table),
    )
    # The cap uses the table's own groups, so that merging aliases does not change the draw.
    drawn = capped_rows(names.vendors, names.category_indices)
    return TwoTables(_renamed(corpus, group_names), _renamed(names, group_names), drawn)


def _read_table(path: str, *vendor_columns: str) -> tuple[SoundTable, GroupedTable]:
    with opened_table(path) as table:
        rows = dict(table)
    cells = pd.DataFrame(list(rows.values()), index=list(rows), columns=table.columns)
    vendor_column = next((column for column in vendor_columns if column in table.columns), None)
    return table, GroupedTable(cells, table.name_column, vendor_column)


def _labelled(table: GroupedTable) -> pd.DataFrame:
    return table.cells[table.cells["category"] != ""]


def _sounds_of(table: SoundTable, rows: pd.DataFrame, vendor_column: str | None) -> LabelledSounds:
    sounds = SoundRows(table, *filter(None, [vendor_column]))
    for line, cells in zip(rows.index, rows.to_dict("records"), strict=True):
        sounds.add(int(line), {str(column): cell for column, cell in cells.items()})
    return sounds.labelled_sounds()


def learnable_names(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the rows that are sounds and not in the other table, each name once."""
    if IN_CORPUS in rows:
        rows = rows[rows[IN_CORPUS] != "1"]
    notes = rows[column].str.lower().str.endswith(_NO_SOUNDS)
    return rows[~notes].drop_duplicates(column)


def capped_rows(vendors: NDArray[np.object_], category_indices: NDArray[np.int64]) -> Rows:
    """Return the rows of at most `CAP` sounds per vendor and category, ascending."""
    rows = pd.DataFrame({"vendor": vendors.astype(str), "category": category_indices})
    shuffled = rows.sample(frac=1, random_state=_CAP_SEED)
    drawn = shuffled.groupby(["vendor", "category"]).head(CAP)
    return np.sort(drawn.index.to_numpy(dtype=np.int64))


def learning_side(tables: TwoTables, tested: LabelledSounds) -> LabelledSounds:
    """Return the sounds of both tables that share neither vendor nor name with the tested ones."""
    both = tables.corpus.joined(tables.names)
    vendors, names = set(tested.vendors), set(tested.names)
    apart = [
        vendor not in vendors and name not in names
        for vendor, name in zip(both.vendors, both.names, strict=True)
    ]
    return both.take(np.flatnonzero(apart))


def splits_by_vendor(
    tables: TwoTables, tested: LabelledSounds, n_folds: int, *, seed: int
) -> list[Split]:
    """Return at most `n_folds` splits by vendor, in which each tested sound is tested once.

    Each split learns from both tables (`learning_side`). Raises `TrainingError` for fewer than two
    vendors, or if a split leaves too few sounds to learn.
    """
    if len(set(tested.vendors)) < 2:
        raise TrainingError("accuracy by vendor needs sounds of at least two vendors in each table")
    splits = [
        Split(learning_side(tables, tested.take(rows)), rows)
        for _, rows in vendor_folds(tested.vendors, tested.category_indices, n_folds, seed=seed)
    ]
    if min(len(split.learned) for split in splits) < _FEWEST_LEARNED:
        raise TrainingError("without the vendors of one fold, too few training sounds are left")
    return splits


def _renamed(sounds: LabelledSounds, group_names: dict[str, str]) -> LabelledSounds:
    names = np.array([group_names[vendor] for vendor in sounds.vendors], dtype=object)
    return replace(sounds, vendors=names)
