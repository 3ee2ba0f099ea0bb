"""From names and their mates to what an engine takes: token ids, and what is said of the mates.

What the LSTMs say of a folder is remembered, so that a folder costs its reading once and not once a
batch.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.model.engines import Engine
from classifier.model.stacking import N_NAME_LOGS, MatesSaid, sure_shares
from classifier.model.vocabulary import Vocabulary
from classifier.names.pack_mates import Mates
from classifier.names.tokens import tokenise

#: Rows asked at a time: a few MB of intermediate arrays, however many folders a batch has.
MOST_ROWS: Final = 512

#: A worker's batches come folder after folder; each of these costs about 100 bytes and its names.
_FOLDERS_REMEMBERED: Final = 1024


class NameEncoder:
    """Encodes names for one engine. Not shared between threads.

    Parameters
    ----------
    engine : Engine
        Whose LSTMs read the mates' names.
    """

    def __init__(self, vocabulary: Vocabulary, engine: Engine) -> None:
        self._vocabulary = vocabulary
        self._engine = engine
        self._said: OrderedDict[Mates, tuple[NDArray[np.float32], NDArray[np.float32]]] = (
            OrderedDict()
        )

    def token_ids(self, names: Sequence[str], mates: Sequence[Mates | None]) -> NDArray[np.int64]:
        """Return the ids of the names' tokens, shape (n_sounds, 8, 12)."""
        return self._vocabulary.encode(
            [
                tokenise(name, frozenset() if folder is None else folder.counting(name))
                for name, folder in zip(names, mates, strict=True)
            ]
        )

    def said_of(self, mates: Sequence[Mates | None]) -> MatesSaid:
        """Return what the LSTMs say of each sound's mates."""
        found = MatesSaid.unknown(len(mates))
        rows_of: dict[int, list[int]] = {}  # by identity: hashing 64 names for every row adds up
        folders: dict[int, Mates] = {}
        for row, folder in enumerate(mates):
            if folder is not None:
                rows_of.setdefault(id(folder), []).append(row)
                folders[id(folder)] = folder
        self._read(dict.fromkeys(folders.values()))
        for identity, rows in rows_of.items():
            found.logs[rows], found.shares[rows] = self._said[folders[identity]]
        while len(self._said) > _FOLDERS_REMEMBERED:
            self._said.popitem(last=False)
        return found

    def _read(self, folders: dict[Mates, None]) -> None:
        new = []
        for folder in folders:
            if folder in self._said:
                self._said.move_to_end(folder)
            else:
                new.append(folder)
        # All in one go: thousands of small folders, each by itself, would cost a call apiece. And
        # names that differ by their numbers only have the same tokens: those are read once.
        tokens = [
            tuple(tokenise(name, folder.counting(name))) for folder in new for name in folder.names
        ]
        place_of = {distinct: place for place, distinct in enumerate(dict.fromkeys(tokens))}
        distinct = list(place_of)
        logs_of = np.zeros((len(distinct), N_NAME_LOGS), dtype=np.float32)
        for start in range(0, len(distinct), MOST_ROWS):
            rows = slice(start, start + MOST_ROWS)
            logs_of[rows] = self._engine.name_logs(self._vocabulary.encode(distinct[rows]))
        logs = logs_of[[place_of[of_name] for of_name in tokens]]
        end = 0
        for folder in new:
            start, end = end, end + len(folder.names)
            mean = logs[start:end].mean(axis=0, dtype=np.float64).astype(np.float32)
            self._said[folder] = mean, sure_shares(logs[start:end])
