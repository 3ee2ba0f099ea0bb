"""Keeping libraries written in C from talking over the terminal.

libmpg123 and TensorFlow write to descriptor 2 directly, and others to descriptor 1; no Python
stream, logger or option stops them.
"""

import contextlib
import ctypes
import functools
import os
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send what is written to descriptors 1 and 2 to nowhere, for one short call.

    They are the whole process's, so whatever another thread writes meanwhile is lost too; Python's
    own errors are exceptions and come through.
    """
    saved = []
    try:
        for descriptor in (1, 2):
            try:
                saved.append((descriptor, os.dup(descriptor)))
            except OSError:  # closed: nobody would see it anyway
                continue
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            for descriptor, _ in saved:
                os.dup2(null, descriptor)
        finally:
            os.close(null)
        yield
    finally:
        # What C's printf keeps in its buffer would come out later, when the descriptors are back.
        _c_library().fflush(None)
        for descriptor, copy in saved:
            os.dup2(copy, descriptor)
            os.close(copy)


@functools.cache
def _c_library() -> ctypes.CDLL:
    """Return the process's own symbols; to load them takes longer than all else here."""
    return ctypes.CDLL(None)
