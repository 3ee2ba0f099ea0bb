"""Silencing libraries written in C, which write to descriptors 1 and 2 past Python's streams."""

import contextlib
import ctypes
import functools
import os
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Discard what is written to descriptors 1 and 2, also by other threads, for one short call."""
    saved = []
    try:
        for descriptor in (1, 2):
            try:
                saved.append((descriptor, os.dup(descriptor)))
            except OSError:  # closed
                continue
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            for descriptor, _ in saved:
                os.dup2(null, descriptor)
        finally:
            os.close(null)
        yield
    finally:
        # Otherwise C's buffered output would be written after the descriptors are restored.
        _c_library().fflush(None)
        for descriptor, copy in saved:
            os.dup2(copy, descriptor)
            os.close(copy)


@functools.cache
def _c_library() -> ctypes.CDLL:
    """Return the process's own symbols; loading them is the slowest step here."""
    return ctypes.CDLL(None)
