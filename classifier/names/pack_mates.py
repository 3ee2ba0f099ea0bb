"""Pack-mates: the names of a sound's folder, read together with its own.

Many names are ambiguous without their pack-mates: in `SNARE87` the number could be a tempo, among
`SNARE1` to `SNARE115` it is an index. And files with uninformative names usually share the category
of the rest of their folder (decision 21).

The pack-mates of a sound are the sounds of its folder, including itself. A large folder is
represented by a sample, chosen by the names' hashes, so that every caller and every batch uses the
same sample.
"""

import heapq
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from classifier.names.cleaning import clean_name
from classifier.names.tokens import HIGHEST_TEMPO_BPM, LOWEST_TEMPO_BPM

#: Maximum number of names that represent a folder; the LSTMs have to read each. In a trial on two
#: tables 13 of 6,655 sounds of larger folders got another category than with all names (with half
#: as many: 70).
MOST_PACK_MATES: Final = 64

#: Names a builder holds before it prunes them; the more, the less pruning costs per name.
_MOST_HELD: Final = 8 * MOST_PACK_MATES

#: The numbers of a series fill at least this share of their range; tempos leave wide gaps.
_DENSE: Final = 0.4
_LEAST_OF_A_SERIES: Final = 4

_DIGITS: Final = re.compile(r"\d+")


@dataclass(frozen=True)
class PackMates:
    """The names of one folder, or the sample that represents them."""

    #: At most `MOST_PACK_MATES`, distinct, in the order of their hashes.
    names: tuple[str, ...]
    #: A name with every number replaced by ``#``, and the index of a number that counts the files.
    counters: frozenset[tuple[str, int]]

    def counting(self, file_name: str) -> frozenset[int]:
        """Return the positions in the cleaned name of numbers that only count the files."""
        if not self.counters:
            return frozenset()
        name = clean_name(file_name)
        template = _DIGITS.sub("#", name)
        return frozenset(
            number.start()
            for slot, number in enumerate(_DIGITS.finditer(name))
            if (template, slot) in self.counters
        )


class PackMatesBuilder:
    """Collects the base names of one folder, in any order, in bounded memory."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def add(self, name: str) -> None:
        """Add a name; duplicates are ignored."""
        self._names.add(name)
        if len(self._names) >= _MOST_HELD:
            # Lossless: the n smallest hashes of a union are among the n smallest of its parts.
            self._names = set(_sample(self._names))

    def build(self) -> PackMates:
        """Return the pack-mates of the names added so far."""
        names = _sample(self._names)
        return PackMates(names, _counters(names))


def pack_mates_of(names: Iterable[str]) -> PackMates:
    """Choose the names that represent a folder and find its numbered series.

    - `names`: base names of all its sounds, in any order; read once, in bounded memory.

    >>> pack_mates_of(["SNARE87.wav", "SNARE1.wav"]).counting("SNARE87.wav")
    frozenset({5})
    """
    builder = PackMatesBuilder()
    for name in names:
        builder.add(name)
    return builder.build()


def _sample(names: Iterable[str]) -> tuple[str, ...]:
    # By hash and not by order: a prefix of a sorted folder would be all kicks and no snares.
    return tuple(heapq.nsmallest(MOST_PACK_MATES, names, key=_rank))


def name_hash(name: str) -> int:
    """Return the hash of a name; the names with the smallest hashes represent their folder."""
    return zlib.crc32(name.encode("utf-8", "surrogatepass"))


def _rank(name: str) -> tuple[int, str]:
    return name_hash(name), name


def _counters(names: tuple[str, ...]) -> frozenset[tuple[str, int]]:
    numbers_at: dict[tuple[str, int], set[str]] = defaultdict(set)
    for file_name in names:
        name = clean_name(file_name)
        template = _DIGITS.sub("#", name)
        for slot, number in enumerate(_DIGITS.findall(name)):
            numbers_at[template, slot].add(number)
    return frozenset(slot for slot, numbers in numbers_at.items() if _is_series(numbers))


def _is_series(numbers: set[str]) -> bool:
    if len(numbers) < 2:
        return False
    if any(len(number) > 3 or number[0] == "0" for number in numbers):
        return True
    values = {int(number) for number in numbers}
    if min(values) < LOWEST_TEMPO_BPM or max(values) > HIGHEST_TEMPO_BPM:
        return True
    span = max(values) - min(values) + 1
    return len(values) >= _LEAST_OF_A_SERIES and len(values) >= _DENSE * span
