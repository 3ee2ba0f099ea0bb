"""The code of a vendor or a pack that begins its names: ABC in ``ABC_kick_01.wav``."""

import re
from collections import defaultdict
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.names.cleaning import clean_name

#: Letters, perhaps with a number, before a separator and at least one more word.
_CODE: Final = re.compile(r"([A-Za-z]{2,6})\d{0,3}[ _-]+(?=.*[A-Za-z])")

#: At least this share of the names must begin with a code.
_LEAST_CODED: Final = 0.5


def codes_of(
    names: NDArray[np.object_], category_indices: NDArray[np.int64]
) -> NDArray[np.object_] | None:
    """Return the code of each name, "" where it has none; None where names have no codes.

    A first word that occurs in one category only may be the name of the sound, as in
    ``Kick_hard_01``, and is no code.

    Parameters
    ----------
    names : ndarray of shape (n_sounds,), object
    category_indices : ndarray of shape (n_sounds,), int64
    """
    first = [_CODE.match(clean_name(name)) for name in names]
    words = ["" if match is None else match[1].upper() for match in first]
    categories: dict[str, set[int]] = defaultdict(set)
    for word, category in zip(words, category_indices.tolist(), strict=True):
        categories[word].add(category)
    codes = {word for word in categories if word and len(categories[word]) > 1}
    coded = np.array([word if word in codes else "" for word in words], dtype=object)
    return coded if len(codes) > 1 and (coded != "").mean() >= _LEAST_CODED else None
