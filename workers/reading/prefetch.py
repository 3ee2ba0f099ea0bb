"""Opening files ahead, where storage is slow.

A network mount takes milliseconds to open a file and return its first bytes; in that time a
processor could parse a hundred headers. So threads open the next files while one is parsed. Only
one thread parses, because the crash marker must identify the file that crashed the process.
"""

import contextlib
import ctypes
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from workers.library_roots import Opened

#: Files that are open or being opened at once: a full batch ends within its time limit even if
#: opening a file takes a third of a second.
_AHEAD: Final = 16
#: Enough for a thread that makes two system calls.
_STACK_BYTES: Final = 256 * 1024
_FIRST_BYTES: Final = 4096

# From malloc.h. Otherwise each thread's heap reserves 64 MiB of the child's limited address space.
_M_ARENA_MAX: Final = -8


@contextlib.contextmanager
def opened_ahead(
    open_one: Callable[[str], Opened], paths: Iterable[str]
) -> Iterator[Iterator[Callable[[], Opened]]]:
    """Open files in threads before they are needed.

    Yields one callable for each path, in order: it waits for the file and returns it, or raises
    the error of `open_one`. The caller closes the file; files that were not taken are closed here.
    """
    waiting: deque[Future[Opened]] = deque()
    with _few_heaps(), ThreadPoolExecutor(_AHEAD, thread_name_prefix="opening") as pool:

        def in_turn() -> Iterator[Callable[[], Opened]]:
            for path in paths:
                waiting.append(pool.submit(_opened, open_one, path))
                if len(waiting) == _AHEAD:
                    yield waiting.popleft().result
            while waiting:
                yield waiting.popleft().result

        try:
            yield in_turn()
        finally:
            for future in waiting:
                if not future.cancel():
                    future.add_done_callback(_close)


def _opened(open_one: Callable[[str], Opened], path: str) -> Opened:
    fd, status = open_one(path)
    # An error will occur again when the file is parsed.
    with contextlib.suppress(OSError):
        os.pread(fd, _FIRST_BYTES, 0)
    return fd, status


def _close(future: Future[Opened]) -> None:
    if future.exception() is None:
        os.close(future.result()[0])


@contextlib.contextmanager
def _few_heaps() -> Iterator[None]:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
    before = threading.stack_size(_STACK_BYTES)
    try:
        yield
    finally:
        threading.stack_size(before)
