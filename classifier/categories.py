"""The twelve categories, in the order every probability vector of the project uses."""

from typing import Final

#: Order is part of the bundle format: column i of any probability matrix is `CATEGORIES[i]`.
CATEGORIES: Final[tuple[str, ...]] = (
    "bass",
    "bass-loop",
    "drum",
    "drum-loop",
    "effects",
    "instrumental-loops",
    "instruments",
    "kits-n-templates",
    "stems-n-midi",
    "synth",
    "synth-loop",
    "vocal",
)

N_CATEGORIES: Final = len(CATEGORIES)


def category_index(category: str) -> int:
    """Return the column of `category` in a probability matrix; ValueError when it is unknown."""
    try:
        return CATEGORIES.index(category)
    except ValueError:
        raise ValueError(
            f"unknown category {category!r}: expected one of {', '.join(CATEGORIES)}"
        ) from None
