"""Reading one suspected file in a process of its own.

``python -m workers.recovery.isolated_read`` takes its request on standard input.

A file that ended a reader once is read here first; if this process dies, it was the file. Speaks
one line of JSON on standard input and nothing at all on standard output: only its exit counts.
"""

import json
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Final

from classifier.errors import SoundError
from classifier.files.safe_open import open_beneath, open_root
from classifier.headers.reader import read_header
from workers.errors import LibraryRootAwayError

#: EX_TEMPFAIL of sysexits.h.
_WORLDS_FAULT: Final = 75


class IsolatedRead(StrEnum):
    """How a trial ended."""

    SURVIVED = "survived"
    CRASHED = "crashed"
    TIMED_OUT = "timed_out"


def read_isolated(
    root_path: Path, path: str, *, follow_links: bool, timeout_seconds: float
) -> IsolatedRead:
    """Read a file's header in a process of its own.

    Parameters
    ----------
    path : str
        Relative to the root.
    follow_links : bool
        As for `classifier.files.safe_open.open_beneath`.

    Returns
    -------
    IsolatedRead
        `SURVIVED` also for a file that is refused in good order.

    Raises
    ------
    LibraryRootAwayError
        The root, or the storage under it, is away: nothing was learned of the file.
    """
    request = json.dumps({"root": str(root_path), "path": path, "follow_links": follow_links})
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
    if ended.returncode == _WORLDS_FAULT:
        raise LibraryRootAwayError(f"the library at {root_path} cannot be read now")
    return IsolatedRead.SURVIVED if ended.returncode == 0 else IsolatedRead.CRASHED


def main() -> None:
    """Read the file the request names; end normally whatever a sound's header says."""
    request = json.loads(sys.stdin.buffer.read())
    try:
        root_fd = open_root(request["root"])
        fd, status = open_beneath(root_fd, request["path"], follow_links=request["follow_links"])
        read_header(fd, status.st_size, request["path"])
    except SoundError:
        pass
    except OSError:
        sys.exit(_WORLDS_FAULT)


if __name__ == "__main__":
    main()
