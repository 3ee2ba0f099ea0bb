"""Silence C libraries that write to descriptors 1 and 2 directly, bypassing Python's streams."""

import contextlib
import ctypes
import functools
import os
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Discard output to descriptors 1 and 2, including that of other threads; for short calls."""
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
    """Return the process's C library; cached because loading it is the slowest step here."""
    return ctypes.CDLL(None)
