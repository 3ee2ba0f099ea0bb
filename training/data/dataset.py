"""Labelled sounds: the rows that a model is trained on."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.categories import CATEGORIES, N_CATEGORIES, category_index
from classifier.files.paths import printable
from classifier.headers.reader import AudioHeader
from classifier.model.header_features import HEADER_COLUMNS, header_matrix
from training.errors import TrainingError


@dataclass(frozen=True)
class LabelledSounds:
    """Sounds with a trusted label, one per row of each attribute.

    Vendors group and weight rows, and packs are kept together in splits; neither is ever a model
    input. Sounds with the same folder are pack-mates; "" means unknown. The text of a folder has no
    other use.

    Attributes
    ----------
    names : ndarray of shape (n_sounds,), object
        Base names, `str`.
    headers : ndarray of shape (n_sounds, 6), float32
        From `header_features.header_matrix`.
    category_indices : ndarray of shape (n_sounds,), int64
        Indices into `CATEGORIES`.
    vendors, packs, folders : ndarray of shape (n_sounds,), object
        `str`.
    """

    names: NDArray[np.object_]
    headers: NDArray[np.float32]
    category_indices: NDArray[np.int64]
    vendors: NDArray[np.object_]
    packs: NDArray[np.object_]
    folders: NDArray[np.object_]

    @classmethod
    def from_rows(
        cls,
        names: Sequence[str],
        headers: Sequence[AudioHeader],
        categories: Sequence[str],
        vendors: Sequence[str],
        packs: Sequence[str] | None = None,
        folders: Sequence[str] | None = None,
    ) -> "LabelledSounds":
        """Build from sequences of equal length.

        By default each vendor has one pack and folders are unknown.

        Raises `ValueError` for an unknown category, or sequences of different lengths.
        """
        packs = vendors if packs is None else packs
        folders = [""] * len(names) if folders is None else folders
        columns = (names, headers, categories, vendors, packs, folders)
        if len({len(column) for column in columns}) > 1:
            raise ValueError(
                "names, headers, categories, vendors, packs and folders differ in length"
            )
        return cls(
            np.array(names, dtype=object),
            header_matrix(headers),
            np.array([category_index(category) for category in categories], dtype=np.int64),
            np.array(vendors, dtype=object),
            np.array(packs, dtype=object),
            np.array(folders, dtype=object),
        )

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: NDArray[np.int64]) -> "LabelledSounds":
        """Return the sounds of these rows, in this order."""
        return LabelledSounds(*(column[rows] for column in self._columns()))

    def joined(self, others: "LabelledSounds") -> "LabelledSounds":
        """Return these sounds followed by the others."""
        pairs = zip(self._columns(), others._columns(), strict=True)
        return LabelledSounds(*(np.concatenate(pair) for pair in pairs))

    def per_category(self) -> dict[str, int]:
        """Return the number of sounds of each of the twelve categories."""
        counts = np.bincount(self.category_indices, minlength=N_CATEGORIES)
        return dict(zip(CATEGORIES, counts.tolist(), strict=True))

    def require_two_categories(self) -> None:
        """Raise `TrainingError` unless there are sounds of at least two categories."""
        present = np.unique(self.category_indices)
        if len(present) < 2:
            reason = (
                f"all {len(self):,} training sounds have the category {CATEGORIES[present[0]]}"
                if len(present)
                else "no labelled sounds"
            )
            raise TrainingError(f"{reason}; at least two categories are needed")

    def _columns(self) -> list[NDArray[Any]]:
        return [getattr(self, field.name) for field in fields(self)]


def displayed(name: str) -> str:
    """Return a name as printable text: control characters and invalid UTF-8 are escaped."""
    return printable(name.encode("utf-8", "backslashreplace").decode())


def header_values(headers: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the original numbers of a `header_matrix`, with its logarithms undone."""
    values = headers.astype(np.float64)
    logarithms = [name.startswith("log_") for name in HEADER_COLUMNS]
    values[:, logarithms] = np.expm1(values[:, logarithms])
    return values
