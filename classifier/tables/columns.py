"""The columns of tables: ours, and what a table calls them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from classifier.tables.strict_csv import TableError, shown, shown_columns

#: No column of a table has another name than ours.
NO_NAMES: Final[Mapping[str, str]] = MappingProxyType({})

#: The first of these that a table of sounds has holds their names.
NAME_COLUMNS: Final = ("file_path", "path")

#: What is read of a sound, beside the category and the vendor of a labelled one.
SOUND_COLUMNS: Final = (
    *NAME_COLUMNS, "file_size", "duration", "sample_rate", "channels", "frame_count",
    "sample_type", "folder", "pack", "repo", "source_repo",
)  # fmt: skip


def column_places(columns: Sequence[str], renamed: Mapping[str, str], name: str) -> dict[str, int]:
    """Return where each column stands, under our names in lower case; unnamed ones are left out.

    `renamed` has the table's name for some of ours; a column is then read under the new name only,
    and the one that had it before is not read. Raises TableError: there is no such column, or two
    of one name.
    """
    places: dict[str, int] = {}
    for place, cell in enumerate(columns):
        column = cell.strip().lower()
        if column in places:
            raise TableError(f"{name}, line 1: there are two columns {shown(column)}")
        if column:
            places[column] = place
    missing = [theirs for theirs in renamed.values() if theirs not in places]
    if missing:
        raise TableError(
            f"{name}, line 1: there is no column {shown(missing[0])} (of --column) in: "
            f"{shown_columns(places)}"
        )
    unchanged = {
        column: place
        for column, place in places.items()
        if column not in renamed and column not in renamed.values()
    }
    return unchanged | {ours: places[theirs] for ours, theirs in renamed.items()}
