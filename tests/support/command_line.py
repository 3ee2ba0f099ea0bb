"""``cratesort ARGUMENTS`` to its end: in the test's own process, or in one of its own.

Most tests are about what a command does, and call it in process: starting Python costs more than
all that they check. A process of its own is for tests about the process itself: its exit by a
signal, its pipes, what it imports, a reader that is made to misbehave.
"""

import contextlib
import ctypes
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.support.places import REPOSITORY

Argument = str | bytes | Path

#: From <linux/capability.h>: what lets root read files that no mode bit allows.
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_CAPABILITY_VERSION_3 = 0x20080522
#: From <linux/prctl.h>: take a capability from everything this process will execute.
_PR_CAPBSET_DROP = 24


@dataclass(frozen=True)
class CliResult:
    """What one run of the command line left behind; bytes that are not UTF-8 are escaped."""

    code: int
    stdout: str
    stderr: str


def parsed(stdout: str) -> list[dict[str, Any]]:
    """Return the objects of JSON lines; split at newlines only, for a name may hold U+2028."""
    return [json.loads(line) for line in stdout.split("\n") if line]


def clean_environment(home: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without its own CRATESORT_* settings, and without make's.

    Parameters
    ----------
    home : Path
        Stands in for the user's home, so that no test reads or writes the user's own data folder.
    settings : mapping of str to str
        Added at the end.
    """
    # A command compiles its modules once, as for a user, not at each start, and is as wide as its
    # output.
    others = ("CRATESORT_", "XDG_", "COLUMNS", "PYTHONDONTWRITEBYTECODE")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(others)}
    return {**inherited, "HOME": str(home), "PYTHONPATH": str(REPOSITORY), **settings}


def run_in_process(
    arguments: Sequence[Argument],
    folder: Path,
    settings: Mapping[str, str],
    stdin: bytes = b"",
    obey_permissions: bool = False,
) -> CliResult:
    """Call the command line in this process, in `folder` and with real descriptors 0, 1 and 2.

    With `obey_permissions` a file that its owner may not read is not read, even by root.
    """
    from cli.__main__ import main

    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with (
            _surroundings(folder, clean_environment(folder, settings)),
            _streams(stdin, out, err),
            without_override() if obey_permissions else contextlib.nullcontext(),
        ):
            try:
                code = main(list(map(os.fsdecode, arguments)))
            except SystemExit as ended:
                code = int(ended.code or 0)
        return CliResult(code, _written(out), _written(err))


def run_as_process(
    arguments: Sequence[Argument],
    folder: Path,
    settings: Mapping[str, str],
    stdin: bytes = b"",
    timeout_seconds: float = 120.0,
    obey_permissions: bool = False,
) -> CliResult:
    """Run the command line as a process whose folder and home is `folder`, and wait for its end."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=folder,
        env=clean_environment(folder, settings),
        input=stdin,
        capture_output=True,
        timeout=timeout_seconds,
        preexec_fn=drop_override() if obey_permissions else None,
    )
    stdout, stderr = (text.decode(errors="surrogateescape") for text in (done.stdout, done.stderr))
    return CliResult(done.returncode, stdout, stderr)


def drop_override() -> Callable[[], object] | None:
    """Return a ``preexec_fn`` that takes from root the right to read what no mode bit allows."""
    if os.geteuid() != 0 or sys.platform != "linux":
        return None  # nothing else uses it
    libc = ctypes.CDLL(None)
    return lambda: [
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH)
    ]


@contextlib.contextmanager
def without_override() -> Iterator[None]:
    """Take that right from this thread, and from those it starts, while the block lasts."""
    if os.geteuid() != 0 or sys.platform != "linux":
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    version = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # Effective, permitted, inheritable: 32 capabilities, then the others.
    sets = (ctypes.c_uint32 * 6)()

    def call(function: Any) -> None:
        if function(version, sets):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    call(libc.capget)
    before = sets[0]
    sets[0] = before & ~(1 << _CAP_DAC_OVERRIDE | 1 << _CAP_DAC_READ_SEARCH)
    call(libc.capset)
    try:
        yield
    finally:
        sets[0] = before
        call(libc.capset)


@contextlib.contextmanager
def _surroundings(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Stand in `folder` with this environment; a command may change what is put back here."""
    variables, here = dict(os.environ), os.getcwd()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    root = logging.getLogger()
    logs, level = list(root.handlers), root.level
    unheard, standard_error = logging.lastResort, sys.__stderr__
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(variables)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        root.handlers[:] = logs
        root.setLevel(level)
        logging.lastResort, sys.__stderr__ = unheard, standard_error  # type: ignore[misc]


@contextlib.contextmanager
def _streams(stdin: bytes, out: IO[bytes], err: IO[bytes]) -> Iterator[None]:
    """Let descriptors 0, 1 and 2, and Python's streams on them, be these while the block lasts."""
    python_streams = sys.stdin, sys.stdout, sys.stderr
    saved = [os.dup(fd) for fd in (0, 1, 2)]
    reading_end, writing_end = os.pipe()
    for fd, target in enumerate((reading_end, out.fileno(), err.fileno())):
        os.dup2(target, fd)
    os.close(reading_end)
    feeder = threading.Thread(target=_feed, args=(writing_end, stdin), daemon=True)
    feeder.start()
    try:
        with (
            open(0, encoding="utf-8", errors="surrogateescape", closefd=False) as sys.stdin,
            open(1, "w", encoding="utf-8", closefd=False) as sys.stdout,
            open(2, "w", encoding="utf-8", buffering=1, closefd=False) as sys.stderr,
        ):
            yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = python_streams
        for fd, target in enumerate(saved):
            os.dup2(target, fd)
            os.close(target)
        feeder.join()


def _feed(writing_end: int, content: bytes) -> None:
    """Write `content` into a pipe, whose other end may be closed before all is read."""
    with contextlib.suppress(BrokenPipeError), open(writing_end, "wb") as pipe:
        pipe.write(content)


def _written(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="surrogateescape")
