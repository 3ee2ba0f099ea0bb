"""Column names of tables, and their renaming."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from classifier.tables.strict_csv import TableError, shown, shown_columns

#: No column is renamed.
NO_NAMES: Final[Mapping[str, str]] = MappingProxyType({})

#: Columns that may hold the name of a sound; the first one present is used.
NAME_COLUMNS: Final = ("file_path", "path")

#: Columns read of every sound; labelled sounds also have a category and a vendor.
SOUND_COLUMNS: Final = (
    *NAME_COLUMNS, "file_size", "duration", "sample_rate", "channels", "frame_count",
    "sample_type", "folder", "pack", "repo", "source_repo",
)  # fmt: skip


def column_places(columns: Sequence[str], renamed: Mapping[str, str], name: str) -> dict[str, int]:
    """Return the index of each column by our lower-case name; unnamed columns are left out.

    - `renamed`: the table's name for some of our columns. Such a column is read under our name
      only, and a column of the table that already has our name is not read.

    Raises TableError: a renamed column does not exist, or two columns have the same name.
    """
    places: dict[str, int] = {}
    for place, cell in enumerate(columns):
        column = cell.strip().lower()
        if column in places:
            raise TableError(f"{name}, line 1: the column {shown(column)} occurs twice")
        if column:
            places[column] = place
    missing = [table_name for table_name in renamed.values() if table_name not in places]
    if missing:
        raise TableError(
            f"{name}, line 1: there is no column {shown(missing[0])} (--column); expected one of "
            f"{shown_columns(places)}"
        )
    unchanged = {
        column: place
        for column, place in places.items()
        if column not in renamed and column not in renamed.values()
    }
    return unchanged | {our_name: places[table_name] for our_name, table_name in renamed.items()}
