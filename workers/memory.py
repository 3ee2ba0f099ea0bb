"""A bound on what a child may take, so that a hostile header costs one batch and not the machine.

The limit counts virtual memory (RLIMIT_AS), of which a child has several times what it uses: shared
libraries, the heaps of threads that were never filled. So it is set relative to what the child has
when its model is loaded. Linux only: other systems either ignore the limit or cannot tell the size.
"""

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_STATM: Final = Path("/proc/self/statm")
_MEBIBYTE: Final = 1024**2


@contextlib.contextmanager
def memory_limit(more_mebibytes: int) -> Iterator[None]:
    """Lift this process's limit for the block, and set it anew behind.

    Parameters
    ----------
    more_mebibytes : int
        What the process may take beyond what it has when the block ends.
    """
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
    # Only the soft limit: the next model may need more, and who may lift it is this process.
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
