"""Writing reports to a folder: each file whole, or not at all."""

import contextlib
import os
import tempfile

from training.errors import TrainingError

#: Who may read a report is up to the user's umask.
_MODE = 0o666


class ReportError(TrainingError):
    """A report cannot be written."""


def require_writable(folder: str) -> None:
    """Make the folder if needed and try a write, before minutes of work; raises `ReportError`."""
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"cratesort")
    except OSError as error:
        raise ReportError(f"no report can be written to {folder}: {error.strerror}") from error


def write_whole(path: str, content: bytes) -> None:
    """Write a file as a whole or not at all; raises `ReportError`."""
    part = f"{path}.part"
    try:
        # Not tempfile's 0600: reports are shared.
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, _MODE)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(fd)
            os.replace(part, path)
        except OSError:
            with contextlib.suppress(OSError):  # the folder itself may be gone
                os.unlink(part)
            raise
    except OSError as error:
        raise ReportError(f"{path} cannot be written: {error.strerror}") from error
