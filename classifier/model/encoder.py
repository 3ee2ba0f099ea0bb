"""Encode names and their pack-mates for an engine: token ids, and pack-mate summaries.

The summary of a folder is cached, so that the LSTMs read a folder once, not once per batch.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.model.arrays import TokenIds
from classifier.model.confidence import word_counts
from classifier.model.engines import Engine
from classifier.model.pooling import N_NAME_LOGS, PackMateSummary, confident_shares
from classifier.model.vocabulary import Vocabulary
from classifier.names.pack_mates import PackMates
from classifier.names.sound_words import LearnedWords
from classifier.names.tokens import tokenise

#: Maximum rows per inference call: limits intermediate arrays to a few MB, even in a batch of many
#: folders.
MOST_ROWS: Final = 512

#: Cached folders. A worker's batches come folder by folder, and an entry is small: 50 numbers and
#: its names.
_MOST_CACHED: Final = 1024


class NameEncoder:
    """Encodes names for one engine and caches pack-mate summaries. Not shared between threads."""

    def __init__(
        self, vocabulary: Vocabulary, engine: Engine, learned: LearnedWords = frozenset()
    ) -> None:
        self._vocabulary = vocabulary
        self._engine = engine
        self._learned = learned
        #: Mean logs, confident shares and word counts: a row of `PackMateSummary`.
        self._cache: OrderedDict[PackMates, tuple[NDArray[np.float32], ...]] = OrderedDict()

    def tokens(
        self, names: Sequence[str], pack_mates: Sequence[PackMates | None]
    ) -> list[list[str]]:
        """Return the names' tokens."""
        return [
            tokenise(name, frozenset() if mates is None else mates.counting(name))
            for name, mates in zip(names, pack_mates, strict=True)
        ]

    def token_ids(self, tokens: Sequence[Sequence[str]]) -> TokenIds:
        """Return the ids of the names' tokens."""
        return self._vocabulary.encode(tokens)

    def summaries(self, pack_mates: Sequence[PackMates | None]) -> PackMateSummary:
        """Return the LSTMs' predictions for the pack-mates of each sound."""
        summary = PackMateSummary.unknown(len(pack_mates))
        rows_of: dict[int, list[int]] = {}  # by identity: hashing 64 names for every row is slow
        distinct: dict[int, PackMates] = {}
        for row, mates in enumerate(pack_mates):
            if mates is not None:
                rows_of.setdefault(id(mates), []).append(row)
                distinct[id(mates)] = mates
        self._summarise(dict.fromkeys(distinct.values()))
        for identity, rows in rows_of.items():
            cached = self._cache[distinct[identity]]
            summary.logs[rows], summary.shares[rows], summary.words[rows] = cached
        while len(self._cache) > _MOST_CACHED:
            self._cache.popitem(last=False)
        return summary

    def _summarise(self, distinct: dict[PackMates, None]) -> None:
        """Cache the summaries of these pack-mates."""
        new = []
        for mates in distinct:
            if mates in self._cache:
                self._cache.move_to_end(mates)
            else:
                new.append(mates)
        # Predict all names together: one call per folder is slow for thousands of small folders.
        # Names that differ only by their numbers have the same tokens and are predicted once.
        tokens = [
            tuple(tokenise(name, mates.counting(name))) for mates in new for name in mates.names
        ]
        place_of = {name: place for place, name in enumerate(dict.fromkeys(tokens))}
        names = list(place_of)
        logs_of = np.zeros((len(names), N_NAME_LOGS), dtype=np.float32)
        for start in range(0, len(names), MOST_ROWS):
            rows = slice(start, start + MOST_ROWS)
            logs_of[rows] = self._engine.name_logs(self._vocabulary.encode(names[rows]))
        places = [place_of[name] for name in tokens]
        logs, words = logs_of[places], word_counts(names, self._learned)[places]
        end = 0
        for mates in new:
            start, end = end, end + len(mates.names)
            mean = logs[start:end].mean(axis=0, dtype=np.float64).astype(np.float32)
            folder_words = words[start:end].sum(axis=0)
            self._cache[mates] = mean, confident_shares(logs[start:end]), folder_words
