"""Reading one suspected file in a process of its own: ``python -m workers.trial`` < request.

A file that ended a reader once is read here first; if this process dies, it was the file. Speaks
one line of JSON on standard input and nothing at all on standard output: only its exit counts.
"""

import json
import subprocess
import sys
from enum import StrEnum
from pathlib import Path

from classifier.errors import SoundError
from classifier.headers import read_header
from classifier.opening import open_beneath, open_root


class TrialEnd(StrEnum):
    """How a trial ended."""

    SURVIVED = "survived"
    CRASHED = "crashed"
    TIMED_OUT = "timed_out"


def try_reading(
    root_path: Path, path: str, *, follow_links: bool, timeout_seconds: float
) -> TrialEnd:
    """Read a file's header in a process of its own.

    Parameters
    ----------
    root_path : Path
    path : str
        Relative to the root.
    follow_links : bool
        As for `classifier.opening.open_beneath`.
    timeout_seconds : float

    Returns
    -------
    TrialEnd
        `SURVIVED` also for a file that is refused in good order.
    """
    request = json.dumps({"root": str(root_path), "path": path, "follow_links": follow_links})
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "workers.trial"],
            input=request.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return TrialEnd.TIMED_OUT
    return TrialEnd.SURVIVED if ended.returncode == 0 else TrialEnd.CRASHED


def main() -> None:
    """Read the file the request names; end normally whatever a sound's header says."""
    request = json.loads(sys.stdin.buffer.read())
    root_fd = open_root(request["root"])
    try:
        fd, status = open_beneath(root_fd, request["path"], follow_links=request["follow_links"])
        read_header(fd, status.st_size, request["path"])
    except SoundError:
        pass


if __name__ == "__main__":
    main()
