"""The classification itself, without queue and database, as every compared system does it.

Uses our own functions, so that the systems differ only in what surrounds this work: headers are
read below the root, folders are listed, the starter predicts. Only cratesort also determines tempo,
key and the other attributes.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from classifier.bundle.load import load_starter
from classifier.files.safe_open import open_root
from classifier.headers.reader import HeaderReading
from classifier.model.classifier import Classifier
from classifier.model.header_features import header_matrix
from workers.library_roots import LibraryRoot, OpenRoot
from workers.reading.folder_cache import FolderCache
from workers.reading.sound_headers import read_sound
from workers.serving.predictions import model_input


class Work:
    """Classifies files of one library in the calling process.

    Parameters
    ----------
    library : Path
    """

    def __init__(self, library: Path) -> None:
        self._classifier: Classifier = load_starter()
        root = LibraryRoot("library", os.fsencode(library))
        self._root = OpenRoot(root, open_root(str(library)))
        self._folders = FolderCache()

    def classify(self, paths: Sequence[str]) -> list[int]:
        """Return the category of each file, by its path below the library."""
        headers: list[Any] = []
        for path in paths:
            outcome = read_sound(self._root, path).outcome
            assert isinstance(outcome, HeaderReading), (path, outcome)
            headers.append(outcome.header)
        mates = self._folders.pack_mates(self._root, paths, folder_words=True)
        asked = [
            model_input(path, header, folder, folder_words=True)
            for path, header, folder in zip(paths, headers, mates, strict=True)
        ]
        found = self._classifier.predict_detailed(
            [one.name for one in asked], header_matrix(headers), mates
        )
        best: list[int] = np.argmax(found.probabilities, axis=1).tolist()
        return best


def paths_below(library: Path) -> list[str]:
    """Return all files of a library, as their paths below it, folder after folder."""
    found = []
    for folder, _, names in os.walk(library):
        below = os.path.relpath(folder, library)
        found += [f"{below}/{name}" for name in sorted(names)]
    return found
