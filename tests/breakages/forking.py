"""Runs pytest repeatedly without starting Python each time: each run is a fork of this process.

Started by `tests.breakages` in the copy of the tree. Third-party modules that most tests import are
imported once, before the first fork: importing them takes longer than most of the tests.
"""

import importlib
import json
import os
import signal
import sys
import time
from typing import NoReturn

import pytest

#: No module of cratesort, for a breakage may be in it; none whose threads do not survive a fork.
_IMPORTED_ONCE = (
    "alembic.command",
    "celery.app.base",
    "click",
    "hypothesis",
    "kombu.transport.redis",
    "numpy",
    "psycopg",
    "pydantic_settings",
    "redis",
    "soundfile",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite",
)

_LOOK_SECONDS = 0.05

#: In place of pytest's exit codes, which are smaller.
DID_NOT_END, CRASHED = 124, 125


def _run(arguments: list[str], output: str) -> NoReturn:
    code = CRASHED
    try:
        fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(fd, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        code = int(pytest.main(arguments))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _wait_for(process_id: int, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(process_id, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(_LOOK_SECONDS)
    os.kill(process_id, signal.SIGKILL)
    os.waitpid(process_id, 0)
    return DID_NOT_END


def main() -> None:
    """Read runs from standard input, one JSON object a line, and answer each with its exit code."""
    for name in _IMPORTED_ONCE:
        importlib.import_module(name)
    for line in sys.stdin:
        request = json.loads(line)
        process_id = os.fork()
        if not process_id:
            _run(request["arguments"], request["output"])
        print(_wait_for(process_id, request["seconds"]), flush=True)


if __name__ == "__main__":
    main()
