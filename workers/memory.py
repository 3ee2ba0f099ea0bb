"""Memory of a child: a limit, rare garbage collection, and returning freed memory to the system.

The limit counts virtual memory (RLIMIT_AS). A child reserves several times what it uses, for shared
libraries and unfilled heaps of threads. So the limit is set relative to the child's size with its
model loaded. Linux only: other systems ignore the limit or cannot report the size.
"""

import contextlib
import ctypes
import gc
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_STATM: Final = Path("/proc/self/statm")
_MEBIBYTE: Final = 1024**2

#: A batch makes about 20,000 small objects without reference cycles. Python's defaults would
#: collect some thirty times a batch, which took a seventh of its time.
_GC_THRESHOLDS: Final = (20_000, 20, 20)


@contextlib.contextmanager
def memory_limit(more_mebibytes: int) -> Iterator[None]:
    """Lift the limit in the block; afterwards allow `more_mebibytes` beyond the process's size."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    try:
        yield
    finally:
        _set_limit(more_mebibytes, hard)


def _set_limit(more_mebibytes: int, hard: int) -> None:
    try:
        pages = int(_STATM.read_text().split()[0])
    except FileNotFoundError:
        return
    limit = pages * resource.getpagesize() + more_mebibytes * _MEBIBYTE
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    # Only the soft limit, which this process may lift again: the next model may need more.
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def collect_garbage_rarely() -> None:
    """Collect garbage about once a batch, and exclude the objects that exist now."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def release_memory() -> None:
    """Return freed memory to the system, where the C library is glibc.

    glibc keeps freed fragments: after some twenty batches, a quarter of a child's memory
    (`make footprint`).
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
