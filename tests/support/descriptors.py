"""Open files and library roots, closed again when a block ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from classifier.files.safe_open import open_root


@contextmanager
def as_descriptor(content: bytes, folder: Path) -> Iterator[int]:
    """Open `content` as a file while the block lasts."""
    path = folder / "under test"
    path.write_bytes(content)
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def opened_root(folder: Path) -> Iterator[int]:
    """Open a root while the block lasts; the block must leave no other descriptor open."""
    before = set(os.listdir("/dev/fd"))
    fd = open_root(str(folder))
    yield fd
    os.close(fd)
    # Not equal: files of earlier tests may be closed meanwhile, when their objects are collected.
    assert set(os.listdir("/dev/fd")) <= before, "a descriptor was left open"
