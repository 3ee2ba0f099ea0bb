"""The names of a folder as they come, one after the other, until its mates are asked for.

A folder, or a table, may hold millions of names; what stands for them is few, and which ones does
not depend on the order they come in. So no more than some hundred are held at a time.
"""

from collections.abc import Iterable
from typing import Final

from classifier.names.pack_mates import MOST_MATES, Mates, mates_of

#: Names held before they are thinned out: enough that thinning costs each little.
_MOST_HELD: Final = 8 * MOST_MATES


class Gathering:
    """Collects the names of one folder.

    Parameters
    ----------
    names : iterable of str
        The first of them; read once.

    Examples
    --------
    >>> Gathering(["SNARE87.wav", "SNARE1.wav"]).mates() == mates_of(["SNARE1.wav", "SNARE87.wav"])
    True
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names: set[str] = set()
        for name in names:
            self.add(name)

    def __bool__(self) -> bool:
        return bool(self._names)

    def add(self, name: str) -> None:
        """Take one more name; one that came before changes nothing."""
        self._names.add(name)
        if len(self._names) >= _MOST_HELD:
            # Who is not among the chosen of a part is not among those of the whole.
            self._names = set(mates_of(self._names).names)

    def mates(self) -> Mates:
        """Return what `mates_of` makes of all names that came."""
        return mates_of(self._names)
