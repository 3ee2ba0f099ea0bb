"""Reading one suspected file in a separate process.

A file that may have crashed a run is read here first: if this process dies, the file is the cause.
``python -m workers.recovery.isolated_read`` takes one line of JSON on standard input; its only
result is its exit code.
"""

import json
import os
import subprocess
import sys
from enum import StrEnum
from typing import Final

from classifier.errors import SoundError
from classifier.headers.reader import read_header
from workers.errors import LibraryRootAwayError
from workers.library_roots import LibraryRoot

#: EX_TEMPFAIL of sysexits.h.
_STORAGE_AWAY: Final = 75


class IsolatedRead(StrEnum):
    """How the process ended."""

    SURVIVED = "survived"
    CRASHED = "crashed"
    TIMED_OUT = "timed out"


def read_isolated(root: LibraryRoot, path: str, *, timeout_seconds: float) -> IsolatedRead:
    """Read a file's header in a separate process; `SURVIVED` also if the file is invalid.

    Raises LibraryRootAwayError when the root is unavailable, so that the file could not be tried.
    """
    folder = os.fsdecode(root.folder)
    request = json.dumps({"root": root.name, "folder": folder, "path": path})
    try:
        ended = subprocess.run(
            # -P: a folder of sounds may hold a workers/recovery/isolated_read.py of its own.
            [sys.executable, "-P", "-m", "workers.recovery.isolated_read"],
            input=request.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return IsolatedRead.TIMED_OUT
    if ended.returncode == _STORAGE_AWAY:
        raise LibraryRootAwayError(f"the library root at {folder} cannot be read")
    return IsolatedRead.SURVIVED if ended.returncode == 0 else IsolatedRead.CRASHED


def main() -> None:
    """Read the requested file; end with exit code 0 whatever its header contains."""
    request = json.loads(sys.stdin.buffer.read())
    try:
        with LibraryRoot(request["root"], os.fsencode(request["folder"])).opened() as root:
            fd, status = root.open_file(request["path"])
            read_header(fd, status.st_size, request["path"])
    except (SoundError, OSError):
        pass  # it did not end this process
    except LibraryRootAwayError:
        sys.exit(_STORAGE_AWAY)


if __name__ == "__main__":
    main()
