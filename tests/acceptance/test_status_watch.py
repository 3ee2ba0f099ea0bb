"""``cratesort status --watch`` as a real process: in a pipe, on a terminal, and at Ctrl-C."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from cli.console.exit_codes import Exit
from tests.support.command_line import clean_environment

PATIENCE_SECONDS = 60.0
MAIN_SCREEN = b"\x1b[?1049l"
SHOW_CURSOR = b"\x1b[?25h"


@pytest.fixture(autouse=True)
def database(run_cli):
    """An empty database: the command does not create one."""
    assert run_cli("db", "upgrade").code == 0


@contextmanager
def watching(folder, stdout, **settings):
    """``cratesort status --watch`` with its output there, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "status", "--watch"],
        cwd=folder,
        env=clean_environment(folder, {"TERM": "xterm-256color", **settings}),
        stdout=stdout,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(descriptor, wanted):
    """Return what came until `wanted` was among it."""
    read = b""
    ends = time.monotonic() + PATIENCE_SECONDS
    while wanted not in read:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, ends - time.monotonic()))
        assert ready, f"{wanted!r} did not come, only {read!r}"
        read += os.read(descriptor, 65536)
    return read


@pytest.fixture
def terminal():
    """The two ends of a terminal: the program's and the person's."""
    person, program = pty.openpty()
    yield program, person
    os.close(program)
    os.close(person)


def test_watch_in_a_pipe_prints_plain_text_repeatedly(tmp_path):
    with watching(tmp_path, subprocess.PIPE) as process:
        first = read_until(process.stdout.fileno(), b"Model ")
        second = read_until(process.stdout.fileno(), b"Model ")
    assert b"\x1b" not in first + second


def test_ctrl_c_ends_watch_and_restores_the_terminal(tmp_path, terminal):
    program, person = terminal
    with watching(tmp_path, program) as process:
        read_until(person, b"No ingest yet")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == Exit.INTERRUPTED
        assert b"Traceback" not in process.stderr.read()
    rest = read_until(person, MAIN_SCREEN)
    assert SHOW_CURSOR in rest or SHOW_CURSOR in read_until(person, SHOW_CURSOR)
