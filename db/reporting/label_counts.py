"""What the table holds of labels, and how often the model agrees with them."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from db.reporting.counts import commonest_first
from db.states import LabelSource
from db.tables import label_history, sounds


@dataclass(slots=True)
class CategoryCount:
    """The labels of one category.

    - `compared`: of these, sounds that also have a category of the model.
    - `agreeing`: of these, sounds whose category is the label.
    """

    labelled: int = 0
    compared: int = 0
    agreeing: int = 0


@dataclass(slots=True)
class LabelCounts:
    """What the table holds of labels.

    - `compared`, `agreeing`: as for `CategoryCount`, over all of them. The model may have been
      trained on these labels: it is a hint where to look, no measure of the model.
    - `held_out`: sounds models are measured on; frozen.
    - `undecided`: labelled sounds no training run has read yet.
    - `sources`, `vendors`: commonest first, as `categories`. Of the sources, `copy` counts sounds
      that only follow the label of another, which count nowhere else.
    - `history`: labels ever given, those that were replaced included.
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
    # Grouped once by everything: the sums below then all speak of the same moment.
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
