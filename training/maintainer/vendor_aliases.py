"""Merge vendor aliases across two tables, so that no vendor is on both sides of a split.

For a pack in a repository, the vendor may be the repository's owner in one table and the pack's
maker in the other. The aliases are linked by the source of their rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pandas as pd
from scipy.cluster.hierarchy import DisjointSet

#: Column of the table of names; 1 means that the row is also in the other table.
IN_CORPUS: Final = "in_corpus"

Link = tuple[str, str]


@dataclass(frozen=True)
class GroupedTable:
    """A table's cells, indexed by line number, and its columns for names and vendors."""

    cells: pd.DataFrame
    name_column: str
    vendor_column: str | None


def linked_vendors(vendors: Iterable[str], links: Iterable[Link]) -> dict[str, str]:
    """Return a map from each vendor and each name in `links` to the name of its group.

    Names that are linked directly or indirectly form a group. `vendors` is in order of preference:
    a group is named after its first vendor.
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
    """Return pairs of aliases: a vendor of `names`, and a vendor of either table.

    `corpus` is linked by ``repo``, including rows without a category. `names` is linked by
    ``source_repo``, ``in_corpus``, and ``vendor`` if its rows are grouped by another column. Absent
    columns and empty cells give no links.
    """
    if corpus.vendor_column is None or names.vendor_column is None:
        return []
    groups, vendors = names.cells[names.vendor_column], corpus.cells[corpus.vendor_column]
    links = _agreeing(groups, names.cells["vendor"]) if "vendor" in names.cells else []
    corpus_sources, sources = _repositories(corpus, "repo"), _repositories(names, "source_repo")
    links += _with_equal_keys(groups, sources, vendors, corpus_sources)
    if IN_CORPUS in names.cells:
        # The vendor of such a row is found by its repository, else by the name of its sound.
        by_name = (names.cells[IN_CORPUS] == "1") & ~sources.isin(set(corpus_sources) - {""})
        group_keys = names.cells.loc[by_name, names.name_column]
        links += _with_equal_keys(
            groups[by_name], group_keys, vendors, corpus.cells[corpus.name_column]
        )
    return links


def _repositories(table: GroupedTable, column: str) -> "pd.Series[str]":
    """Return a column of repositories in lower case, because GitHub ignores case."""
    if column not in table.cells:
        return pd.Series("", index=table.cells.index, dtype=object)
    return table.cells[column].str.strip().str.casefold()


def _with_equal_keys(
    groups: "pd.Series[str]",
    group_keys: "pd.Series[str]",
    vendors: "pd.Series[str]",
    vendor_keys: "pd.Series[str]",
) -> list[Link]:
    """Return pairs of groups and vendors with equal keys; empty keys are skipped."""
    of_groups = pd.DataFrame({"group": groups, "key": group_keys}).drop_duplicates()
    of_vendors = pd.DataFrame({"vendor": vendors, "key": vendor_keys}).drop_duplicates()
    both = of_groups[of_groups["key"] != ""].merge(of_vendors, on="key")
    return _agreeing(both["group"], both["vendor"])


def _agreeing(left: "pd.Series[str]", right: "pd.Series[str]") -> list[Link]:
    """Return the distinct pairs of two columns, without pairs that contain an empty name."""
    pairs = dict.fromkeys(zip(left, right, strict=True))
    return [pair for pair in pairs if all(pair)]
