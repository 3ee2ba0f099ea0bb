"""Counts of labels, and how often the model agrees with them."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from db.reporting.counts import commonest_first
from db.states import LabelSource
from db.tables import label_history, sounds


@dataclass(slots=True)
class CategoryCount:
    """The labels of one category.

    - `labelled`: sounds with this label.
    - `compared`: labelled sounds that also have a category from the model.
    - `agreeing`: compared sounds whose category equals the label.
    """

    labelled: int = 0
    compared: int = 0
    agreeing: int = 0


@dataclass(slots=True)
class LabelCounts:
    """Counts of labels over all categories.

    - `compared`, `agreeing`: as for `CategoryCount`, over all categories. The model may have been
      trained on these labels: use them to find errors, not to measure the model.
    - `held_out`: sounds on which models are measured; a decision that is never changed.
    - `undecided`: labelled sounds that no training run has read yet.
    - `categories`, `sources`, `vendors`: commonest first. The source `copy` counts sounds that
      inherited the label of another (`db.results.copies`); no other count includes them.
    - `history`: labels ever given, replaced ones included.
    """

    labelled: int = 0
    compared: int = 0
    agreeing: int = 0
    held_out: int = 0
    undecided: int = 0
    history: int = 0
    categories: dict[str, CategoryCount] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    vendors: dict[str, int] = field(default_factory=dict)


def label_counts(connection: Connection) -> LabelCounts:
    """Count the labels by category, source and vendor, and how often the model agrees."""
    # One query for all sums, so that they describe the same moment.
    groups: tuple[ColumnElement[Any], ...] = (
        sounds.c.label,
        sounds.c.label_source,
        sounds.c.vendor,
        sounds.c.category,
        sounds.c.held_out,
    )
    ever = connection.execute(select(func.count()).select_from(label_history)).scalar_one()
    counted = LabelCounts(history=ever)
    query = select(*groups, func.count().label("n")).where(sounds.c.label.is_not(None))
    for row in connection.execute(query.group_by(*groups)):
        counted.sources[row.label_source] = counted.sources.get(row.label_source, 0) + row.n
        if row.label_source == LabelSource.COPY:
            continue
        compared = row.n if row.category is not None else 0
        agreeing = row.n if row.category == row.label else 0
        counted.labelled += row.n
        counted.compared += compared
        counted.agreeing += agreeing
        counted.held_out += row.n if row.held_out else 0
        counted.undecided += row.n if row.held_out is None else 0
        category = counted.categories.setdefault(row.label, CategoryCount())
        category.labelled += row.n
        category.compared += compared
        category.agreeing += agreeing
        counted.vendors[row.vendor] = counted.vendors.get(row.vendor, 0) + row.n
    counted.categories = dict(
        sorted(counted.categories.items(), key=lambda item: (-item[1].labelled, item[0]))
    )
    counted.sources = commonest_first(counted.sources)
    counted.vendors = commonest_first(counted.vendors)
    return counted
