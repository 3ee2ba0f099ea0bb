"""The frozen holdout: the sounds that no model ever learns, so that all are measured on them.

One vendor in eight is held out whole, to show how a model does on unseen vendors; of the other
vendors one pack in eight, for most sounds that arrive are of known vendors. A hash of the names
decides, so that any host decides alike in any year. The decision is then stored in the sound's row,
whatever its vendor is called later.

A library in which too few sounds or packs would be held out has no holdout: models are compared out
of fold there (`training.runs.out_of_fold`), and learn every label.
"""

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: One vendor in so many, and of the other vendors one pack in so many.
ONE_IN: Final = 8


#: Fewer held-out sounds, or packs, than these prove nothing either way.
FEWEST_SOUNDS: Final = 50
FEWEST_PACKS: Final = 5


def is_enough(n_sounds: int, n_packs: int) -> bool:
    """Whether so many sounds of so many packs may decide between two models."""
    return n_sounds >= FEWEST_SOUNDS and n_packs >= FEWEST_PACKS


def held_out(vendors: NDArray[np.object_], packs: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Decide for each sound whether it belongs to the holdout; all sounds of one pack alike.

    Changing how this decides would let later models learn what earlier ones are measured on.

    Parameters
    ----------
    vendors, packs : ndarray of shape (n_sounds,), object
    """
    decided: dict[tuple[str, str], bool] = {}
    drawn = np.zeros(len(vendors), dtype=np.bool_)
    for row, pair in enumerate(zip(vendors.astype(str), packs.astype(str), strict=True)):
        if pair not in decided:
            vendor, pack = pair
            decided[pair] = _is_drawn(f"vendor\0{vendor}") or _is_drawn(f"pack\0{vendor}\0{pack}")
        drawn[row] = decided[pair]
    return drawn


def _is_drawn(text: str) -> bool:
    # BLAKE2b because it is the same on every machine and in every run, which hash() is not.
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % ONE_IN == 0
