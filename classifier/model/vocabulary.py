"""The words a model knows, and the encoding of a name's tokens as ids.

A token is the id of its word and the ids of its sub-words (hashed character n-grams). The model
averages their vectors, so an unknown word gets a vector near similar words: *kicky* near *kick*.
"""

import json
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.model.arrays import TokenIds

#: Tokens read per name; 95 % of the names of the public corpus have no more. The first and the last
#: tokens of a longer name are kept: vendors put the kind of sound first, tempo and key last.
SEQUENCE_LENGTH: Final = 8

#: Ids per token: its word, then at most eleven sub-words (the first and last ones of a longer
#: word).
IDS_PER_TOKEN: Final = 12

PADDING_ID: Final = 0
UNKNOWN_ID: Final = 1
FIRST_WORD_ID: Final = 2

#: Rows of the embedding for words and for hashed sub-words. Fixed, so that the shape of a model
#: does not depend on the table it was trained on. The public corpus holds 747 words twice or more.
MOST_WORDS: Final = 4998
SUBWORD_BUCKETS: Final = 6000
FIRST_SUBWORD_ID: Final = FIRST_WORD_ID + MOST_WORDS
N_IDS: Final = FIRST_SUBWORD_ID + SUBWORD_BUCKETS

#: Lengths of sub-words. Word borders are marked, so "^bd" and "bd$" are sub-words of their own.
_NGRAM_LENGTHS: Final = (3, 4)

_NO_TOKEN: Final = (PADDING_ID,) * IDS_PER_TOKEN
_NO_SUBWORDS: Final = _NO_TOKEN[1:]

# Sub-words are taken from this many characters of a word, which limits the time and the cache that
# a hostile name can use.
_LONGEST_WORD: Final = 64


class Vocabulary:
    """The words a model knows: ``words[i]`` has id ``i + 2``; 0 is padding, 1 any other word."""

    def __init__(self, words: Sequence[str]) -> None:
        if len(words) > MOST_WORDS:
            raise ValueError(
                f"the vocabulary has {len(words)} words; expected at most {MOST_WORDS}"
            )
        self.words: Final = tuple(words)
        self._id_of_word = {word: FIRST_WORD_ID + i for i, word in enumerate(self.words)}
        if len(self._id_of_word) != len(self.words):
            raise ValueError("the vocabulary contains a word twice")

    @classmethod
    def fit(
        cls,
        names: Iterable[Sequence[str]],
        minimum_count: int = 2,
        known: Sequence[str] = (),
    ) -> "Vocabulary":
        """Build a vocabulary of `known` words, then the most frequent others.

        - `names`: the tokens of each name.
        - `minimum_count`: minimum number of names that contain a word. With 2, words of a single
          name stay unknown, from which the model learns what an unknown word may mean.
        - `known`: words of a model that is trained further. They come first, even if they are not
          in `names`, so that they keep their ids.
        """
        counts = Counter(token for tokens in names for token in set(tokens))
        already = frozenset(known)
        counted = [
            (-count, word)
            for word, count in counts.items()
            if count >= minimum_count and word not in already
        ]
        return cls([*known, *(word for _, word in sorted(counted))][:MOST_WORDS])

    def encode(self, names: Sequence[Sequence[str]]) -> TokenIds:
        """Return the ids of the tokens of each name."""
        # A pack repeats few words: each is looked up once, then copied by its index.
        places: dict[str, int] = {}  # from 1: index 0 is the padding
        rows = [
            [
                places.setdefault(token, len(places) + 1)
                for token in first_and_last(tokens, SEQUENCE_LENGTH)
            ]
            for tokens in names
        ]
        padding = [0] * SEQUENCE_LENGTH
        flat = [row + padding[len(row) :] for row in rows]
        table = np.array([_NO_TOKEN, *map(self._ids_of, places)], dtype=np.int64)
        return table[np.array(flat, dtype=np.intp).reshape(len(names), SEQUENCE_LENGTH)]

    def _ids_of(self, token: str) -> tuple[int, ...]:
        word = self._id_of_word.get(token, UNKNOWN_ID)
        return (word, *_subword_ids(token[:_LONGEST_WORD]))

    def to_json(self) -> bytes:
        """Return the words as JSON (ASCII, so that a lone surrogate survives)."""
        return json.dumps({"words": self.words}, indent=0).encode("ascii")

    @classmethod
    def from_json(cls, document: bytes) -> "Vocabulary":
        """Read what `to_json` wrote; ValueError for anything else."""
        content = json.loads(document)
        words = content.get("words") if isinstance(content, dict) else None
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError("a vocabulary must be a JSON object with a list of words")
        return cls(words)


def token_counts(ids: TokenIds) -> NDArray[np.int64]:
    """Return how many tokens each name has and how many are unknown, shape (n_names, 2)."""
    words = ids[:, :, 0]
    read, unknown = words != PADDING_ID, words == UNKNOWN_ID
    return np.stack([read.sum(axis=1), unknown.sum(axis=1)], axis=1)


def first_and_last(items: Sequence[str], most: int) -> Sequence[str]:
    """Return all items, or the first and the last ones if there are more than `most`."""
    if len(items) <= most:
        return items
    first = most // 2
    return [*items[:first], *items[first - most :]]


@lru_cache(maxsize=2**14)  # one pack repeats its few words thousands of times
def _subword_ids(token: str) -> tuple[int, ...]:
    """Return the ids of a word's sub-words, padded."""
    if token.startswith("<"):
        return _NO_SUBWORDS  # a typed token resembles no word
    marked = f"^{token}$"
    ngrams = [
        marked[start : start + length]
        for length in _NGRAM_LENGTHS
        for start in range(len(marked) - length + 1)
    ]
    # CRC-32 because it is the same on every machine and in every run, which hash() is not.
    ids = tuple(
        FIRST_SUBWORD_ID + zlib.crc32(ngram.encode("utf-8", "surrogatepass")) % SUBWORD_BUCKETS
        for ngram in first_and_last(ngrams, IDS_PER_TOKEN - 1)
    )
    return ids + _NO_SUBWORDS[len(ids) :]
