"""Which vendors of two tables are the same people: no one may stand on both sides of a split.

A pack that a repository holds is called after the repository's owner in one table and after its
maker in the other. What ties the two names together is where the rows came from.
"""

from collections.abc import Iterable
from typing import Final

import pandas as pd

#: Of a table of names: the row is in the other table, too.
IN_CORPUS: Final = "in_corpus"

Link = tuple[str, str]


def linked_vendors(vendors: Iterable[str], links: Iterable[Link]) -> dict[str, str]:
    """Return the one name of each vendor, the same for all that are linked, however indirectly.

    Parameters
    ----------
    vendors : iterable of str
        In order of preference: of linked ones, the first gives the name.

    Returns
    -------
    dict of str to str
        For every vendor, and for every name in a link.
    """
    links = list(links)
    order = list(dict.fromkeys([*vendors, *(name for link in links for name in link)]))
    rank = {name: place for place, name in enumerate(order)}
    above = dict(zip(order, order, strict=True))

    def first(name: str) -> str:
        while above[name] != name:
            above[name] = above[above[name]]  # halves the way for who comes next
            name = above[name]
        return name

    for link in links:
        better, worse = sorted(map(first, link), key=rank.__getitem__)
        above[worse] = better
    return {name: first(name) for name in order}


def links_between(
    corpus: pd.DataFrame,
    names: pd.DataFrame,
    *,
    name_columns: tuple[str, str],
    vendor_columns: tuple[str | None, str | None],
) -> list[Link]:
    """Return which vendors of two tables have to do with one another.

    A table that lacks a column gives no links by it, a row whose cell is empty neither.

    Parameters
    ----------
    corpus : DataFrame
        To be linked by ``repo``; rows without a category count, too.
    names : DataFrame
        To be linked by ``vendor`` (where that is another column than the grouping one),
        ``source_repo`` and ``in_corpus``.
    name_columns : tuple of str
        Where the two have a sound's name.
    vendor_columns : tuple of str or None
        What the two are grouped by.

    Returns
    -------
    list of pair of str
        A vendor of `names`, and one of either table.
    """
    theirs, ours = vendor_columns
    if theirs is None or ours is None:
        return []
    links = _agreeing(names[ours], names["vendor"]) if "vendor" in names else []
    holders, sources = _repositories(corpus, "repo"), _repositories(names, "source_repo")
    links += _holding(names[ours], sources, corpus[theirs], holders)
    if IN_CORPUS in names:
        # Where no repository says whose such a row is, its name does.
        lost = (names[IN_CORPUS] == "1") & ~sources.isin(set(holders) - {""})
        sought = names.loc[lost, name_columns[1]]
        links += _holding(names.loc[lost, ours], sought, corpus[theirs], corpus[name_columns[0]])
    return links


def _repositories(table: pd.DataFrame, column: str) -> "pd.Series[str]":
    """Return a column of repositories, whose names GitHub does not tell apart by case."""
    if column not in table:
        return pd.Series("", index=table.index, dtype=object)
    return table[column].str.strip().str.casefold()


def _holding(
    groups: "pd.Series[str]",
    sought: "pd.Series[str]",
    vendors: "pd.Series[str]",
    held: "pd.Series[str]",
) -> list[Link]:
    """Pair each row's group with the vendors who hold what the row seeks, if it seeks anything."""
    seeking = pd.DataFrame({"group": groups, "key": sought}).drop_duplicates()
    holding = pd.DataFrame({"vendor": vendors, "key": held}).drop_duplicates()
    both = seeking[seeking["key"] != ""].merge(holding, on="key")
    return _agreeing(both["group"], both["vendor"])


def _agreeing(one: "pd.Series[str]", other: "pd.Series[str]") -> list[Link]:
    """Pair two columns row by row; whoever has no name is not taken for another."""
    pairs = dict.fromkeys(zip(one, other, strict=True))
    return [pair for pair in pairs if all(pair)]
