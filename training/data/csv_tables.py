"""CSV tables of labelled sounds.

Names and header figures are the evidence. The vendor only groups and weights rows. A table's other
columns (folder, repository, where the label came from) are not read, because they hold the answer.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from classifier.categories import CATEGORIES
from classifier.headers.reader import AudioHeader
from classifier.model.header_features import SAMPLE_TYPES
from training.data.dataset import LabelledSounds
from training.errors import TableError

#: A duration may differ from frame count / sample rate by this much (and 1 %): codecs pad.
DURATION_TOLERANCE_SECONDS: Final = 0.05

_NUMBERS: Final = ("file_size", "duration", "sample_rate", "channels", "frame_count")
_LINES_NAMED: Final = 5


@dataclass(frozen=True)
class TableCounts:
    """What a table held before rows were left out.

    Attributes
    ----------
    labelled : int
        Rows with a category.
    duplicates : int
        Of those, rows whose name an earlier one has.
    """

    rows: int
    labelled: int
    duplicates: int


def read_table(path: str) -> LabelledSounds:
    """Read labelled sounds from a CSV file, gzipped or not; see `read_counted`."""
    return read_counted(path)[0]


def read_counted(path: str) -> tuple[LabelledSounds, TableCounts]:
    """Read labelled sounds from a CSV file, gzipped or not, and count what was left out.

    Columns: ``category`` and ``file_path`` (or ``path``) must be there; ``file_size`` (bytes),
    ``duration`` (seconds), ``sample_rate`` (hertz), ``channels``, ``frame_count`` and
    ``sample_type`` may be absent or empty, which means unknown; rows are grouped by ``vendor``,
    else by ``pack``, else all are one vendor's; `folders_of` says which are pack-mates. Rows
    without a category are left out, and of rows with one ``file_path`` the first is kept, as the
    published reference method does.

    Raises
    ------
    TableError
        Not such a table; the message names the lines.
    """
    table = read_text(path)
    labelled = labelled_rows(path, table)
    rows = labelled.drop_duplicates(name_column(path, table))
    vendor_column = next((column for column in ("vendor", "pack") if column in table), None)
    sounds = sounds_of(path, table, rows, vendor_column)
    return sounds, TableCounts(len(table), len(labelled), len(labelled) - len(rows))


def name_column(path: str, table: pd.DataFrame) -> str:
    """Return which column of a labelled table holds the names.

    Raises
    ------
    TableError
        None does, or no column holds categories.
    """
    found = next((column for column in ("file_path", "path") if column in table), None)
    if found is None or "category" not in table:
        raise TableError(
            f"{path}: columns category and file_path (or path) are needed, "
            f"found {', '.join(map(str, table.columns)) or 'none'}"
        )
    return found


def labelled_rows(path: str, table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with a category; `TableError` where one is unknown."""
    name_column(path, table)
    labelled = table["category"] != ""
    _refuse(path, table, labelled & ~table["category"].isin(CATEGORIES), "category", "unknown")
    return table[labelled]


def sounds_of(
    path: str, table: pd.DataFrame, rows: pd.DataFrame, vendor_column: str | None
) -> LabelledSounds:
    """Return these rows of a table as labelled sounds.

    Parameters
    ----------
    path : str
        For messages.
    table : DataFrame
        As `read_text` gave it: its lines are those of the file.
    rows : DataFrame
        Labelled ones of `table`, under its index.
    vendor_column : str or None
        None: all are one vendor's.

    Raises
    ------
    TableError
        A header that cannot be right; the message names the lines.
    """
    return LabelledSounds.from_rows(
        rows[name_column(path, table)].tolist(),
        _headers(path, table, rows),
        rows["category"].tolist(),
        rows[vendor_column].tolist() if vendor_column else [""] * len(rows),
        rows["pack"].tolist() if "pack" in rows else None,
        folders_of(rows),
    )


def folders_of(rows: pd.DataFrame) -> list[str]:
    """Return the same text for rows whose files lay in one folder; "" where a row does not say.

    Rows of one folder are pack-mates, and that is all this may be used for: what a folder is called
    holds the answer.

    Parameters
    ----------
    rows : DataFrame
        ``folder``, ``pack`` and the folders of ``path`` say it, as far as they are there; two
        vendors' or repositories' folders of one name are two.
    """
    telling = [rows[column] for column in ("folder", "pack") if column in rows]
    if "path" in rows:
        telling.append(rows["path"].str.rpartition("/")[0])
    if not telling:
        return [""] * len(rows)
    whose = [rows[column] for column in ("repo", "source_repo", "vendor") if column in rows]
    return [
        "\0".join(cells) if any(cells[: len(telling)]) else ""
        for cells in zip(*telling, *whose, strict=True)
    ]


def read_text(path: str) -> pd.DataFrame:
    """Return a CSV file's cells as they stand, gzipped or not; `TableError` if it is none."""
    try:
        return pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,  # "NA.wav" and "null" are names
            skip_blank_lines=False,  # so that a row's line number is known
            encoding_errors="surrogateescape",  # names are bytes on most file systems
            low_memory=False,
        )
    except (OSError, EOFError, ValueError) as fault:  # pandas' own are ValueErrors
        raise TableError(f"{path} is not a readable CSV table: {fault}") from fault


def _headers(path: str, table: pd.DataFrame, rows: pd.DataFrame) -> list[AudioHeader]:
    numbers = pd.DataFrame(index=rows.index)
    for column in _NUMBERS:
        text = rows[column].str.strip() if column in rows else pd.Series("", index=rows.index)
        value = pd.to_numeric(text, errors="coerce")
        wrong = (text != "") & ~(value.ge(0) & np.isfinite(value))
        _refuse(path, table, wrong, column, "not a number >= 0")
        numbers[column] = value
    stated = numbers["frame_count"] / numbers["sample_rate"].where(numbers["sample_rate"] > 0)
    apart = (numbers["duration"] - stated).abs()
    _refuse(
        path,
        table,
        apart > DURATION_TOLERANCE_SECONDS + 0.01 * stated,
        "duration",
        "not frame_count / sample_rate (it must be in seconds)",
    )
    kinds = rows["sample_type"] if "sample_type" in rows else pd.Series("", index=rows.index)
    _refuse(
        path,
        table,
        ~kinds.isin(["", *SAMPLE_TYPES]),
        "sample_type",
        "not one that libsndfile lists",
    )
    return [
        AudioHeader(
            file_size_bytes=_whole(size),
            duration_seconds=None if np.isnan(duration) else duration,
            sample_rate_hz=_whole(rate),
            channels=_whole(channels),
            frame_count=_whole(frames),
            sample_type=kind or None,
        )
        for (size, duration, rate, channels, frames), kind in zip(
            numbers.to_numpy(dtype=np.float64).tolist(), kinds, strict=True
        )
    ]


def _whole(value: float) -> int | None:
    return None if np.isnan(value) else int(value)


def _refuse(
    path: str, table: pd.DataFrame, wrong: "pd.Series[bool]", column: str, reason: str
) -> None:
    """Raise a `TableError` that names the first lines where `wrong` holds, if it holds anywhere."""
    bad = np.flatnonzero(wrong.reindex(table.index, fill_value=False).to_numpy(dtype=bool))
    if not len(bad):
        return
    # A quoted cell may hold line breaks: what stands before a row decides its line.
    breaks = sum(table[name].str.count("\n").to_numpy() for name in table.columns)
    first_lines = 2 + np.arange(len(table)) + np.cumsum(breaks) - breaks
    shown = [f"line {first_lines[row]}: {table[column].iloc[row]!r}" for row in bad[:_LINES_NAMED]]
    more = f" and {len(bad) - len(shown)} more" if len(bad) > len(shown) else ""
    raise TableError(f"{path}: {column} is {reason}: {'; '.join(shown)}{more}")
