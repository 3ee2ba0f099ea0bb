"""Read the labels of the database as training rows and holdout rows.

Rows are read in chunks. Sounds with contradicting labels are left out, copies of a file are kept
once, and the holdout decision is stored for sounds that have none yet.
"""

import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import Engine

from classifier.categories import category_index
from classifier.files.paths import readable_name
from classifier.model.header_features import HEADER_COLUMNS, header_matrix
from db.engine import reading
from db.results import training_rows
from db.results.training_rows import LabelledSound
from training.data.dataset import LabelledSounds
from training.data.holdout import FEWEST_SOUNDS, held_out, is_enough

#: Rows of one query, and of one transaction that stores holdout decisions.
_CHUNK_ROWS: Final = 5_000

#: Most sounds to learn. Fitting more takes hours and gigabytes, and a vendor's ten-thousandth kick
#: adds nothing. The largest groups (vendor and category) are reduced first.
MOST_LEARNED: Final = 200_000

#: Columns in which copies of a file are equal.
_FILE: Final = ["name", *HEADER_COLUMNS]


@dataclass(frozen=True)
class LabelledTables:
    """The labelled sounds of a retraining run.

    `learned` and `held_out` share no pack, and no file of one has a copy in the other. Sounds were
    left out of the `n_labelled` for three reasons: `n_copies` repeat the name and header of another
    sound, `n_contradictory` have equal names and headers with different labels, and `n_surplus`
    exceed `MOST_LEARNED`. `last_label_id` is the newest entry of the label history when reading
    began. `first_label_ids` (int64) has, for each learned sound, the entry that first labelled it.
    """

    learned: LabelledSounds
    held_out: LabelledSounds
    n_labelled: int
    n_copies: int
    n_contradictory: int
    n_surplus: int
    last_label_id: int
    first_label_ids: NDArray[np.int64]


def read_labelled(
    database: Engine, *, on_chunk: Callable[[int], None] = lambda _: None
) -> LabelledTables:
    """Read every labelled sound; decide which new ones are held out, and store the decision.

    If too few sounds would be held out to compare models, none are and no decision is stored.

    `on_chunk` is called with the number of rows read so far.
    """
    with reading(database) as connection:
        last_label_id = training_rows.last_label_id(connection)
    chunks: list[pd.DataFrame] = []
    undecided: list[dict[int, bool]] = []
    last_id = n_read = 0
    while True:
        with reading(database) as connection:
            rows = training_rows.labelled_after(connection, last_id, _CHUNK_ROWS)
        if rows:
            chunks.append(_frame(rows))
            undecided.append(_undecided(rows, chunks[-1]))
            last_id, n_read = rows[-1].id, n_read + len(rows)
            on_chunk(n_read)
        if len(rows) < _CHUNK_ROWS:
            break
    table = _joined(chunks)
    if _has_holdout(table):
        for decisions in filter(None, undecided):
            with database.begin() as connection:
                training_rows.freeze_holdout(connection, decisions)
    else:
        table["held_out"] = False
    return _tables(table, last_label_id)


def _has_holdout(table: pd.DataFrame) -> bool:
    """Return whether enough sounds are held out to compare models, or a holdout is in use.

    A holdout is in use if at least `FEWEST_SOUNDS` stored decisions hold a sound out, and as many
    sounds remain to learn.
    """
    held_out, decided = table[table["held_out"]], table[table["held_out"] & table["decided"]]
    n_packs = held_out.groupby(["vendor", "pack"], observed=True).ngroups
    return (
        is_enough(len(held_out), n_packs)
        or min(len(decided), len(table) - len(held_out)) >= FEWEST_SOUNDS
    )


def _frame(rows: list[LabelledSound]) -> pd.DataFrame:
    """Return a chunk as a table; `held_out` has the stored decision, else the one by hash."""
    frame = pd.DataFrame(header_matrix([row.header for row in rows]), columns=list(HEADER_COLUMNS))
    frame["name"] = [readable_name(row.name) for row in rows]
    frame["category"] = np.array([category_index(row.label) for row in rows], dtype=np.int8)
    frame["first_label_id"] = np.array([row.first_label_id for row in rows], dtype=np.int64)
    # Categorical: a million rows repeat a few hundred texts.
    frame["vendor"] = pd.Categorical([row.vendor for row in rows])
    frame["pack"] = pd.Categorical([row.pack for row in rows])
    frame["folder"] = pd.Categorical([f"{row.root}:{posixpath.dirname(row.path)}" for row in rows])
    drawn = held_out(
        np.array([row.vendor for row in rows], dtype=object),
        np.array([row.pack for row in rows], dtype=object),
    )
    frame["held_out"] = np.array(
        [
            draw if row.held_out is None else row.held_out
            for row, draw in zip(rows, drawn, strict=True)
        ],
        dtype=np.bool_,
    )
    frame["decided"] = np.array([row.held_out is not None for row in rows], dtype=np.bool_)
    return frame


def _undecided(rows: list[LabelledSound], frame: pd.DataFrame) -> dict[int, bool]:
    return {
        row.id: bool(draw)
        for row, draw in zip(rows, frame["held_out"], strict=True)
        if row.held_out is None
    }


def _joined(chunks: list[pd.DataFrame]) -> pd.DataFrame:
    """Return one table of all chunks; the list is emptied to free memory."""
    chunks = chunks or [_frame([])]
    for column in ("vendor", "pack", "folder"):
        categories = pd.api.types.union_categoricals([chunk[column] for chunk in chunks]).categories
        for chunk in chunks:
            chunk[column] = chunk[column].cat.set_categories(categories)
    table = pd.concat(chunks, ignore_index=True)
    chunks.clear()
    return table


def _tables(table: pd.DataFrame, last_label_id: int) -> LabelledTables:
    n_labelled = len(table)
    table["file"] = pd.util.hash_pandas_object(table[_FILE], index=False)
    n_labels = table.groupby("file", sort=False)["category"].transform("nunique")
    table = table[n_labels == 1]
    n_contradictory = n_labelled - len(table)
    # Keep the held-out copy; otherwise its duplicate would be learned.
    table = table.sort_values("held_out", ascending=False, kind="stable").drop_duplicates("file")
    n_copies = n_labelled - n_contradictory - len(table)
    learned = table[~table["held_out"]]
    chosen = learned[_within(learned, MOST_LEARNED)]
    return LabelledTables(
        _sounds(chosen),
        _sounds(table[table["held_out"]]),
        n_labelled,
        n_copies,
        n_contradictory,
        len(learned) - len(chosen),
        last_label_id,
        chosen["first_label_id"].to_numpy(dtype=np.int64),
    )


def _within(table: pd.DataFrame, most: int) -> NDArray[np.bool_]:
    """Mark at most `most` rows: the same limit for every group of vendor and category."""
    groups = table.groupby(["vendor", "category"], observed=True, sort=False)
    # Ordered by the file's hash: arbitrary, but the same in every run.
    rank = groups["file"].rank(method="first").to_numpy()
    if len(table) <= most:
        return np.ones(len(table), dtype=np.bool_)
    sizes = groups.size().to_numpy()
    low, high = 0, int(sizes.max())
    while low < high:  # find the largest limit per group that fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if np.minimum(sizes, middle).sum() <= most else (low, middle - 1)
    return np.asarray(rank <= low)


def _sounds(table: pd.DataFrame) -> LabelledSounds:
    return LabelledSounds(
        table["name"].to_numpy(dtype=object),
        table[list(HEADER_COLUMNS)].to_numpy(dtype=np.float32),
        table["category"].to_numpy(dtype=np.int64),
        table["vendor"].astype(object).to_numpy(),
        table["pack"].astype(object).to_numpy(),
        table["folder"].astype(object).to_numpy(),
    )
