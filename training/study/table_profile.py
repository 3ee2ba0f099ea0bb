"""What a table of labelled sounds is made of, before any model sees it."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.categories import CATEGORIES, N_CATEGORIES
from classifier.files.paths import printable
from classifier.model.header_features import SAMPLE_TYPES
from training.data.csv_tables import TableCounts
from training.data.dataset import LabelledSounds

#: Columns of `features.header_matrix`: their name here, whether they are logarithms of 1 + value
#: there, and whether the value is a whole number (which float32 logarithms keep to the byte only
#: up to some MB).
_COLUMNS: Final = (
    ("file_size_bytes", True, True),
    ("duration_seconds", True, False),
    ("sample_rate_hz", True, True),
    ("channels", False, True),
    ("frame_count", True, True),
)
_SAMPLE_TYPE_COLUMN: Final = 5

NOT_STATED: Final = "not stated"


@dataclass(frozen=True)
class HeaderStatistics:
    """One number of the headers, over the sounds that state it."""

    column: str
    stated: int
    lowest: float
    quarter: float
    median: float
    three_quarters: float
    highest: float
    mean: float


@dataclass(frozen=True)
class CategoryRows:
    """How much of the table is of one category, and of how many vendors.

    Attributes
    ----------
    largest_vendor_share : float
        Of its sounds, those of the vendor who has most of them; 0 without sounds. A category of
        one vendor's cannot be learned for others, nor be tested where that vendor is known.
    """

    category: str
    sounds: int
    vendors: int
    largest_vendor_share: float


@dataclass(frozen=True)
class VendorRows:
    """How much of the table is one vendor's; `vendor` is as it may be shown."""

    vendor: str
    sounds: int
    categories: int


@dataclass(frozen=True)
class Analysis:
    """What a table is made of.

    Attributes
    ----------
    rows, labelled, duplicates, sounds : int
        Rows of the file, those with a category, of those the repetitions of a name, and what is
        left.
    categories : tuple of CategoryRows
        All twelve.
    sample_types : dict of str to int
        The commonest first, `NOT_STATED` among them.
    headers : tuple of HeaderStatistics
        Of the numbers that are stated anywhere.
    vendors : tuple of VendorRows
        The largest first.
    """

    rows: int
    labelled: int
    duplicates: int
    sounds: int
    categories: tuple[CategoryRows, ...]
    sample_types: dict[str, int]
    headers: tuple[HeaderStatistics, ...]
    vendors: tuple[VendorRows, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return asdict(self)


def analyse(sounds: LabelledSounds, counts: TableCounts) -> Analysis:
    """Count and measure a table.

    Parameters
    ----------
    sounds : LabelledSounds
        At least one.
    """
    names, vendor = np.unique(sounds.vendors.astype(str), return_inverse=True)
    # Rows are vendors, columns categories.
    crossed = np.zeros((len(names), N_CATEGORIES), dtype=np.int64)
    np.add.at(crossed, (vendor, sounds.category_indices), 1)
    return Analysis(
        rows=counts.rows,
        labelled=counts.labelled,
        duplicates=counts.duplicates,
        sounds=len(sounds),
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
            VendorRows(_shown(names[i]), int(crossed[i].sum()), int((crossed[i] > 0).sum()))
            for i in np.argsort(-crossed.sum(axis=1), kind="stable")
        ),
    )


def stated_numbers(sounds: LabelledSounds) -> dict[str, NDArray[np.float64]]:
    """Return what headers state, a column each; columns that state nothing are left out."""
    columns: dict[str, NDArray[np.float64]] = {}
    for place, (name, is_logarithm, is_whole) in enumerate(_COLUMNS):
        values = sounds.headers[:, place].astype(np.float64)
        values = values[~np.isnan(values)]
        values = np.expm1(values) if is_logarithm else values
        if len(values):
            columns[name] = np.rint(values) if is_whole else values
    return columns


def _sample_types(sounds: LabelledSounds) -> dict[str, int]:
    codes = sounds.headers[:, _SAMPLE_TYPE_COLUMN]
    types = [NOT_STATED if np.isnan(code) else SAMPLE_TYPES[int(code)] for code in codes]
    names, n_of_type = np.unique(np.array(types, dtype=str), return_counts=True)
    largest_first = np.argsort(-n_of_type, kind="stable")
    return {str(names[i]): int(n_of_type[i]) for i in largest_first}


def _statistics(name: str, values: NDArray[np.float64]) -> HeaderStatistics:
    low, quarter, median, three_quarters, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    return HeaderStatistics(
        name,
        len(values),
        float(low),
        float(quarter),
        float(median),
        float(three_quarters),
        float(high),
        float(values.mean()),
    )


def _shown(vendor: str) -> str:
    # A name may hold bytes that are no UTF-8 (`csv_tables` keeps them), which nothing can draw.
    return printable(vendor.encode("utf-8", "backslashreplace").decode()) or "(none)"
