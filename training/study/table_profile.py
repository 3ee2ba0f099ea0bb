"""Statistics of a table of labelled sounds, computed without a model."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.categories import CATEGORIES, N_CATEGORIES
from classifier.model.header_features import HEADER_COLUMNS, SAMPLE_TYPES
from training.data.csv_tables import TableCounts
from training.data.dataset import LabelledSounds, displayed, header_values

#: The numeric columns of `header_values`.
_NUMBERS: Final = tuple(name.removeprefix("log_") for name in HEADER_COLUMNS[:-1])

NOT_STATED: Final = "not stated"


@dataclass(frozen=True)
class HeaderStatistics:
    """Statistics of a header value over the sounds that have it; `std` is the sample's (n - 1)."""

    column: str
    stated: int
    lowest: float
    quarter: float
    median: float
    three_quarters: float
    highest: float
    mean: float
    std: float


@dataclass(frozen=True)
class CategoryRows:
    """The number of sounds and vendors of one category.

    `largest_vendor_share` is the largest vendor's share of these sounds, 0 if there are none. If
    all sounds are from one vendor, a split by vendor can learn or test the category, but not both.
    """

    category: str
    sounds: int
    vendors: int
    largest_vendor_share: float


@dataclass(frozen=True)
class VendorRows:
    """The number of sounds and categories of one vendor; `vendor` is safe to display."""

    vendor: str
    sounds: int
    categories: int


@dataclass(frozen=True)
class Analysis:
    """Statistics of a table.

    `rows` counts the rows of the file, `labelled` those with a category, `duplicates` the labelled
    rows that repeat a name, and `sounds` the rows that are left. `grouped_by` describes what
    distinguishes vendors, "" if nothing does. `nulls` counts the sounds without a value, by column.
    `categories` has all twelve. `sample_types` starts with the most frequent and includes
    `NOT_STATED`. `headers` has the columns with at least one value. `vendors` starts with the
    largest.
    """

    rows: int
    labelled: int
    duplicates: int
    sounds: int
    grouped_by: str
    nulls: dict[str, int]
    categories: tuple[CategoryRows, ...]
    sample_types: dict[str, int]
    headers: tuple[HeaderStatistics, ...]
    vendors: tuple[VendorRows, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the statistics as JSON values."""
        return asdict(self)


def analyse(sounds: LabelledSounds, counts: TableCounts) -> Analysis:
    """Compute the statistics of a table with at least one sound."""
    names, vendor = np.unique(sounds.vendors.astype(str), return_inverse=True)
    # One row per vendor, one column per category.
    crossed = np.zeros((len(names), N_CATEGORIES), dtype=np.int64)
    np.add.at(crossed, (vendor, sounds.category_indices), 1)
    return Analysis(
        rows=counts.rows,
        labelled=counts.labelled,
        duplicates=counts.duplicates,
        sounds=len(sounds),
        grouped_by=counts.grouped_by,
        nulls=_nulls(sounds),
        categories=tuple(
            CategoryRows(
                category,
                int(column.sum()),
                int((column > 0).sum()),
                float(column.max() / max(column.sum(), 1)),
            )
            for category, column in zip(CATEGORIES, crossed.T, strict=True)
        ),
        sample_types=_sample_types(sounds),
        headers=tuple(_statistics(name, values) for name, values in stated_numbers(sounds).items()),
        vendors=tuple(
            VendorRows(
                displayed(names[i]) or "(none)", int(crossed[i].sum()), int((crossed[i] > 0).sum())
            )
            for i in np.argsort(-crossed.sum(axis=1), kind="stable")
        ),
    )


def stated_numbers(sounds: LabelledSounds) -> dict[str, NDArray[np.float64]]:
    """Return the known header values by column; columns without any value are left out."""
    columns: dict[str, NDArray[np.float64]] = {}
    for name, column in zip(_NUMBERS, header_values(sounds.headers).T, strict=False):
        values = column[~np.isnan(column)]
        if len(values):
            # Large integers are not exact after a float32 logarithm.
            columns[name] = values if name == "duration_seconds" else np.rint(values)
    return columns


def _nulls(sounds: LabelledSounds) -> dict[str, int]:
    missing = np.isnan(sounds.headers).sum(axis=0).tolist()
    counts = dict(zip((*_NUMBERS, "sample_type"), missing, strict=True))
    return counts | {
        "vendor": int((sounds.vendors == "").sum()),
        "folder": int((sounds.folders == "").sum()),
    }


def _sample_types(sounds: LabelledSounds) -> dict[str, int]:
    counts = Counter(
        NOT_STATED if np.isnan(code) else SAMPLE_TYPES[int(code)]
        for code in sounds.headers[:, HEADER_COLUMNS.index("sample_type")]
    )
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _statistics(name: str, values: NDArray[np.float64]) -> HeaderStatistics:
    low, quarter, median, upper, high = map(float, np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))
    mean, std = float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return HeaderStatistics(name, len(values), low, quarter, median, upper, high, mean, std)
