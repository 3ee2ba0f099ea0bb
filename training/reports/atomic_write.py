"""Write report files atomically."""

import contextlib
import os
import tempfile

from training.errors import TrainingError

#: File mode before the user's umask, which decides who may read a report.
_MODE = 0o666


class ReportError(TrainingError):
    """A report cannot be written."""


def require_writable(folder: str) -> None:
    """Create the folder if needed and check that it is writable, before minutes of work.

    Raises `ReportError` if not.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"cratesort")
    except OSError as error:
        raise ReportError(f"cannot write reports to {folder}: {error.strerror}") from error


def write_whole(path: str, content: bytes) -> None:
    """Write a file atomically; raises `ReportError` if it cannot be written."""
    part = f"{path}.part"
    try:
        # Not tempfile, which creates files with mode 0600: reports are shared.
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, _MODE)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(fd)
            os.replace(part, path)
        except OSError:
            with contextlib.suppress(OSError):  # the folder may have been deleted
                os.unlink(part)
            raise
    except OSError as error:
        raise ReportError(f"cannot write {path}: {error.strerror}") from error
