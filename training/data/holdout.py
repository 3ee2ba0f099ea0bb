"""The frozen holdout: sounds that no model learns, so that all models can be compared on them.

One vendor in eight is held out completely, to measure unseen vendors. One pack in eight of the
other vendors is held out, because most new sounds are from known vendors. A hash of vendor and pack
decides, so that every host decides the same at any time. The decision is stored in the sound's row
and stays valid if the vendor is renamed.

A library in which too few sounds or packs would be held out has no holdout. Its models learn every
label and are compared out of fold (`training.runs.out_of_fold`).
"""

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: One vendor in this many is held out, and one pack in this many of the other vendors.
ONE_IN: Final = 8


#: Fewest held-out sounds and packs on which two models are compared.
FEWEST_SOUNDS: Final = 50
FEWEST_PACKS: Final = 5


def is_enough(n_sounds: int, n_packs: int) -> bool:
    """Return whether these numbers of sounds and packs are enough to decide between two models."""
    return n_sounds >= FEWEST_SOUNDS and n_packs >= FEWEST_PACKS


def held_out(vendors: NDArray[np.object_], packs: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Return for each sound whether it belongs to the holdout; equal for all sounds of a pack.

    Do not change the rule: later models would learn sounds on which earlier ones are measured.

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
    # BLAKE2b, because hash() differs between processes.
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % ONE_IN == 0
