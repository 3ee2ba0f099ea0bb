"""What the names of a folder say together of each of its sounds.

Many names alone say nothing, but their pack-mates do: of `SNARE87` the number could be a tempo, of
`SNARE1` to `SNARE115` it is an index. And what most of a folder is, its odd names are, too.

The mates of a sound are the sounds of its folder, itself among them. Of a large folder some stand
for all, chosen by their names' hashes: the same whoever asks, whatever batch a sound falls into.
"""

import heapq
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from classifier.names.tokens import HIGHEST_TEMPO_BPM, LOWEST_TEMPO_BPM, clean_name

#: Names that stand for a folder. In a trial on two tables 13 of 6,655 sounds of larger folders were
#: answered otherwise than with all names (with half of these: 70); each costs the LSTMs a reading.
MOST_MATES: Final = 64

#: A series counts through at least this share of its span; tempos leave wide gaps.
_DENSE: Final = 0.4
_LEAST_OF_A_SERIES: Final = 4

_DIGITS: Final = re.compile(r"\d+")


@dataclass(frozen=True)
class Mates:
    """The names of one folder, or those that stand for them.

    Attributes
    ----------
    names : tuple of str
        At most `MOST_MATES`, distinct, in an order of their own; at least one.
    counters : frozenset of (str, int)
        Name with every number replaced by ``#``, and which of its numbers counts the files.
    """

    names: tuple[str, ...]
    counters: frozenset[tuple[str, int]]

    def counting(self, file_name: str) -> frozenset[int]:
        """Return where in the cleaned name the numbers begin that only count its files."""
        if not self.counters:
            return frozenset()
        name = clean_name(file_name)
        template = _DIGITS.sub("#", name)
        return frozenset(
            found.start()
            for slot, found in enumerate(_DIGITS.finditer(name))
            if (template, slot) in self.counters
        )


def mates_of(names: Iterable[str]) -> Mates:
    """Choose the names that stand for a folder and find its series.

    Parameters
    ----------
    names : iterable of str
        Base names of all its sounds, in any order; read once.

    Examples
    --------
    >>> mates_of(["SNARE87.wav", "SNARE1.wav"]).counting("SNARE87.wav")
    frozenset({5})
    """
    # By hash and not by order: a prefix of a sorted folder would be all kicks and no snares.
    chosen = tuple(heapq.nsmallest(MOST_MATES, set(names), key=_rank))
    return Mates(chosen, _counters(chosen))


def _rank(name: str) -> tuple[int, str]:
    return zlib.crc32(name.encode("utf-8", "surrogatepass")), name


def _counters(names: tuple[str, ...]) -> frozenset[tuple[str, int]]:
    numbers: dict[tuple[str, int], set[str]] = defaultdict(set)
    for file_name in names:
        name = clean_name(file_name)
        template = _DIGITS.sub("#", name)
        for slot, found in enumerate(_DIGITS.findall(name)):
            numbers[template, slot].add(found)
    return frozenset(place for place, found in numbers.items() if _is_series(found))


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
