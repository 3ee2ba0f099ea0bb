"""Input that a command reads twice, from a file or a pipe."""

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, cast

import click

from classifier.errors import CratesortError
from classifier.files.paths import path_text, printable

#: Endless input (/dev/zero) must not fill the disk.
_MOST_COPIED_BYTES: Final = 4 * 1024**3

#: How much of a pipe is kept in memory before it is copied to a temporary file.
_IN_MEMORY_BYTES: Final = 8 * 1024**2

_COPIED_BYTES: Final = 1024**2


class InputTooLargeError(CratesortError):
    """The input is larger than its limit, or than the room for its copy."""


@contextmanager
def seekable_input(source: str, *, most_bytes: int | None = None) -> Iterator[BinaryIO]:
    """Open a file, or standard input for ``-``; the input from a pipe is copied to disk first.

    Raises InputTooLargeError: there is more than `most_bytes`, or no room for the copy.
    """
    shown = "standard input" if source == "-" else printable(path_text(source))
    if source == "-" and sys.stdin is None:
        raise click.UsageError("standard input is closed")
    with (
        click.open_file(source, "rb") as stream,
        tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as copy,
    ):
        status = os.fstat(stream.fileno())
        is_file = stat.S_ISREG(status.st_mode)
        size = status.st_size if is_file else 0
        if most_bytes is None:
            most_bytes = size if is_file else _MOST_COPIED_BYTES
        while not is_file and size <= most_bytes and (part := stream.read(_COPIED_BYTES)):
            try:
                size += copy.write(part)
            except OSError as error:
                raise InputTooLargeError(
                    f"no room for a temporary copy of {shown} in {tempfile.gettempdir()}: "
                    f"{error.strerror}"
                ) from error
        if size > most_bytes:
            raise InputTooLargeError(f"{shown} has over {most_bytes:,} bytes: give it in parts")
        copy.seek(0)
        yield cast("BinaryIO", stream if is_file else copy)
