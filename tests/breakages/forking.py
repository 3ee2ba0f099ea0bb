"""Runs pytest again and again without the start of Python: each run is a fork of this process.

Started by `tests.breakages` in the copy of the tree. What every test loads, and no breakage can
touch, is loaded once: starting anew would take longer than most of the tests that are run.
"""

import importlib
import json
import os
import signal
import sys
import time
from typing import NoReturn

import pytest

#: Of other people's alone. Nothing that starts threads which do not survive a fork.
_LOADED_ONCE = (
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

#: In place of pytest's exit code; it has none as large.
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
    for name in _LOADED_ONCE:
        importlib.import_module(name)
    for line in sys.stdin:
        asked = json.loads(line)
        process_id = os.fork()
        if not process_id:
            _run(asked["arguments"], asked["output"])
        print(_wait_for(process_id, asked["seconds"]), flush=True)


if __name__ == "__main__":
    main()
