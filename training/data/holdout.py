"""The frozen holdout: which sounds no model may ever learn from, so that all are measured on them.

One vendor in eight is held out whole, for nothing else shows how a model does on strangers; of the
other vendors one pack in eight, for most sounds that arrive are of vendors already known. A hash
of the names decides, so that any host, in any year, decides alike; what was decided for a sound is
then kept in its row, whatever its vendor is called later.
"""

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: One vendor in so many, and of the other vendors one pack in so many.
ONE_IN: Final = 8


def held_out(vendors: NDArray[np.object_], packs: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Decide for each sound whether it belongs to the holdout.

    Changing how this decides would let later models learn what earlier ones are measured on.

    Parameters
    ----------
    vendors, packs : ndarray of shape (n_sounds,), object

    Returns
    -------
    ndarray of shape (n_sounds,), bool
        All sounds of one pack alike.
    """
    decided: dict[tuple[str, str], bool] = {}
    found = np.zeros(len(vendors), dtype=np.bool_)
    for row, of in enumerate(zip(vendors.astype(str), packs.astype(str), strict=True)):
        if of not in decided:
            decided[of] = _is_drawn(f"vendor\0{of[0]}") or _is_drawn(f"pack\0{of[0]}\0{of[1]}")
        found[row] = decided[of]
    return found


def _is_drawn(text: str) -> bool:
    # BLAKE2b because it is the same on every machine and in every run, which hash() is not.
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % ONE_IN == 0
