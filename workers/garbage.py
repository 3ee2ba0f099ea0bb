"""How often Python looks for garbage in a process that classifies, and when it gives memory back.

A batch makes some twenty thousand small objects that live until its end and refer to each other in
no circle; by default Python would look through them, and through all that its libraries hold, some
thirty times a batch. Less often it is one seventh of the time of a batch.
"""

import contextlib
import ctypes
import gc
import sys
from typing import Final

#: As many new objects as a batch makes, before the young are looked through; and how many times
#: that before the older ones are.
_THRESHOLDS: Final = (20_000, 20, 20)


def collect_seldom() -> None:
    """Have garbage looked for once a batch or so, and never among what is there by now."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


def give_memory_back() -> None:
    """Return to the system what a batch needed and no longer does.

    glibc keeps it, in pieces between what lives: after some twenty batches that was a quarter of a
    child (`make footprint`). Where there is no glibc nothing happens.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
