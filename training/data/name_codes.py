"""Codes of vendors or packs at the beginning of names: ABC in ``ABC_kick_01.wav``."""

import re
from collections import defaultdict
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.names.cleaning import clean_name
from classifier.names.sound_words import indicated_categories

#: Letters, optionally with a number, before a separator and at least one more word.
_CODE: Final = re.compile(r"([A-Za-z]{2,6})\d{0,3}[ _-]+(?=.*[A-Za-z])")

#: Lowest share of names that must begin with a code.
_LEAST_CODED: Final = 0.5


def codes_of(
    names: NDArray[np.object_], category_indices: NDArray[np.int64]
) -> NDArray[np.object_] | None:
    """Return the code of each name, "" if it has none; None if the names do not use codes.

    A first word that is a known word for sounds is not a code (``BD_hard_01``). Neither is a word
    that is never written in capitals and occurs in only one category, because it may describe the
    sound. Names use codes if at least half of them begin with one and there are two different ones.

    Parameters
    ----------
    names : ndarray of shape (n_sounds,), object
    category_indices : ndarray of shape (n_sounds,), int64
    """
    first = [_CODE.match(clean_name(name)) for name in names]
    spelled = ["" if match is None else match[1] for match in first]
    words, capitals = [word.upper() for word in spelled], {*filter(str.isupper, spelled)}
    categories: dict[str, set[int]] = defaultdict(set)
    for word, category in zip(words, category_indices.tolist(), strict=True):
        categories[word].add(category)
    codes = {
        word
        for word in categories
        if word
        and (word in capitals or len(categories[word]) > 1)
        and not indicated_categories((word.lower(),)).is_known
    }
    coded = np.array([word if word in codes else "" for word in words], dtype=object)
    return coded if len(codes) > 1 and (coded != "").mean() >= _LEAST_CODED else None
