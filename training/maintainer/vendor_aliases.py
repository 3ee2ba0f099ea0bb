"""Merge vendor aliases across two tables, so that no vendor is on both sides of a split.

A pack that a repository holds is called after the repository's owner in one table and after its
maker in the other. What ties the two names together is where the rows came from.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pandas as pd
from scipy.cluster.hierarchy import DisjointSet

#: Of a table of names: the row is in the other table, too.
IN_CORPUS: Final = "in_corpus"

Link = tuple[str, str]


@dataclass(frozen=True)
class GroupedTable:
    """A table's cells, each row under its line number; its names; what its rows are grouped by."""

    cells: pd.DataFrame
    name_column: str
    vendor_column: str | None


def linked_vendors(vendors: Iterable[str], links: Iterable[Link]) -> dict[str, str]:
    """Return one name for each vendor and each name in a link, the same for all that are linked.

    Links also hold indirectly. `vendors` is in order of preference: the first of a group names it.
    """
    links = list(links)
    order = list(dict.fromkeys([*vendors, *(name for link in links for name in link)]))
    groups = DisjointSet(order)
    for link in links:
        groups.merge(*link)
    first: dict[str, str] = {}
    for name in order:
        first.setdefault(groups[name], name)
    return {name: first[groups[name]] for name in order}


def links_between(corpus: GroupedTable, names: GroupedTable) -> list[Link]:
    """Return pairs of a vendor of `names` and one of either table that are the same.

    `corpus` is linked by ``repo``, also by rows without a category; `names` by ``vendor`` (where
    rows are grouped by another column), ``source_repo`` and ``in_corpus``. A column that is absent
    and a cell that is empty give no links.
    """
    if corpus.vendor_column is None or names.vendor_column is None:
        return []
    groups, vendors = names.cells[names.vendor_column], corpus.cells[corpus.vendor_column]
    links = _agreeing(groups, names.cells["vendor"]) if "vendor" in names.cells else []
    holders, sources = _repositories(corpus, "repo"), _repositories(names, "source_repo")
    links += _holding(groups, sources, vendors, holders)
    if IN_CORPUS in names.cells:
        # Such a row's vendor is known by its repository, or else by its name.
        by_name = (names.cells[IN_CORPUS] == "1") & ~sources.isin(set(holders) - {""})
        sought = names.cells.loc[by_name, names.name_column]
        links += _holding(groups[by_name], sought, vendors, corpus.cells[corpus.name_column])
    return links


def _repositories(table: GroupedTable, column: str) -> "pd.Series[str]":
    """Return a column of repositories; GitHub ignores case in their names."""
    if column not in table.cells:
        return pd.Series("", index=table.cells.index, dtype=object)
    return table.cells[column].str.strip().str.casefold()


def _holding(
    groups: "pd.Series[str]",
    sought: "pd.Series[str]",
    vendors: "pd.Series[str]",
    held: "pd.Series[str]",
) -> list[Link]:
    """Pair each row's group with the vendors that hold what the row seeks, unless that is empty."""
    seeking = pd.DataFrame({"group": groups, "key": sought}).drop_duplicates()
    holding = pd.DataFrame({"vendor": vendors, "key": held}).drop_duplicates()
    both = seeking[seeking["key"] != ""].merge(holding, on="key")
    return _agreeing(both["group"], both["vendor"])


def _agreeing(left: "pd.Series[str]", right: "pd.Series[str]") -> list[Link]:
    """Pair two columns row by row; an empty name matches no other."""
    pairs = dict.fromkeys(zip(left, right, strict=True))
    return [pair for pair in pairs if all(pair)]
