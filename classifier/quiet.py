"""Keeping libraries written in C from talking over the terminal.

libmpg123 and TensorFlow write to descriptor 2 directly; no Python stream, logger or option stops
them.
"""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send what is written to descriptor 2 to nowhere, for one short call.

    The descriptor is the whole process's, so whatever another thread writes meanwhile is lost too;
    Python's own errors are exceptions and come through.
    """
    try:
        saved = os.dup(2)
    except OSError:  # closed: nobody would see it anyway
        yield
        return
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, 2)
        finally:
            os.close(null)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
