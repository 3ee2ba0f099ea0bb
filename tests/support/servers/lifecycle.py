"""The life of a server that the tests own: started, frozen, thawed, stopped, killed, removed.

Here: what holds for any server. Not here: its command line and how one asks whether it answers
(`redis_server`, `postgres_server`).
"""

import ctypes
import errno
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

#: How long a server may take to start or to stop before the test run gives up on it.
PATIENCE_SECONDS = 60.0

#: More than the servers of all test processes hold at once; a container's /dev/shm has 64 MiB.
_ROOM_BYTES = 4 * 2**30

#: From <linux/prctl.h>: deliver a signal to the calling process when its parent dies.
PR_SET_PDEATHSIG = 1

AnyServer = TypeVar("AnyServer", bound="Server")


class ServerUnavailableError(Exception):
    """A server cannot be had on this machine: the message says what to install."""


def die_with_parent(last_signal: signal.Signals) -> Callable[[], object] | None:
    """Return a ``preexec_fn`` for `subprocess` that ties the child's life to its parent's.

    The parent is, to the kernel, the *thread* that starts the child: start from the main one.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)  # opened here: between fork and exec nothing should be imported
    return lambda: libc.prctl(PR_SET_PDEATHSIG, last_signal, 0, 0, 0)


def wait_until(
    condition: Callable[[], bool], what: str, patience_seconds: float = PATIENCE_SECONDS
) -> None:
    """Return once `condition` holds; raise TimeoutError naming `what` when it never does."""
    deadline = time.monotonic() + patience_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience_seconds:.0f} s in vain until {what}")
        time.sleep(0.05)


#: Below those that the kernel gives to clients: a server that a test has stopped must find its port
#: free when it starts again, and a client that tries it meanwhile must not connect to itself.
_PORTS = range(10_000, 32_000)


def _in_memory() -> str | None:
    """Return a folder in memory, None (the usual one for temporary files) where there is none.

    On ext4 a database that is made and dropped for each test takes ten times as long: inodes freed
    in the last seconds are passed over one by one.
    """
    folder = "/dev/shm"  # noqa: S108  the folders made there have unguessable names
    if os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > _ROOM_BYTES:
        return folder
    return None


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free at the moment."""
    while True:
        # Not `random`: pytest-randomly gives the same numbers to all of its processes.
        port = secrets.choice(_PORTS)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return port


@dataclass(frozen=True)
class ProcessEntry:
    """A line of the process table, as far as the tests ask."""

    pid: int
    parent: int
    group: int


def living_processes() -> Iterator[ProcessEntry]:
    """Read the process table of Linux (elsewhere: nothing), without the zombies."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name before the bracket may hold blanks and brackets of its own.
            state, parent, group = stat.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended since it was listed
        if state not in "ZX":
            yield ProcessEntry(int(stat.parent.name), int(parent), int(group))


def is_alive(pid: int) -> bool:
    """Tell whether a process runs or is frozen; a zombie does not."""
    return any(process.pid == pid for process in living_processes())


def _signal(child: int, number: signal.Signals) -> None:
    """Send a signal to a child, which may have ended since it was listed."""
    try:
        os.kill(child, number)
    except ProcessLookupError:
        pass


class Server(ABC):
    """What our own Redis and our own PostgreSQL have in common: the life of a process.

    The port, the password and so the URL stay the same from one start to the next.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.password = secrets.token_hex(8)  # so that a test can look for it in logs and output
        # Not pytest's tmp_path: only its owner may enter that, and PostgreSQL never runs as root.
        self.folder = Path(tempfile.mkdtemp(prefix="cratesort-test-", dir=_in_memory()))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients find it, password included."""

    @abstractmethod
    def _launch(self) -> subprocess.Popen[bytes]:
        """Start the process on `port` with its data in `folder`."""

    @abstractmethod
    def _answers(self) -> bool:
        """Tell whether a client gets an answer."""

    def _children(self) -> list[int]:
        """Return the processes that work for the main one; they are frozen and killed with it."""
        return []

    @property
    def pid(self) -> int:
        """The id of the main process of a running server."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def start(self) -> None:
        """Return when clients get answers."""
        assert self._process is None, "the server is running already"
        process = self._process = self._launch()

        def answers() -> bool:
            if process.poll() is not None:
                self._process = None
                raise RuntimeError(f"{process.args!r} ended at once:\n{self.log()[-2_000:]}")
            return self._answers()

        wait_until(answers, f"{type(self).__name__} answers on port {self.port}")

    def stop(self) -> None:
        """End it in good order, frozen or not: PostgreSQL keeps its data, Redis has none."""
        self.thaw()
        os.kill(self.pid, signal.SIGINT)
        self._wait()

    def kill(self) -> None:
        """End it as a power cut does: every process of it at once."""
        self.freeze()  # else a new child could be born after the others were counted
        victims = self._children()
        os.kill(self.pid, signal.SIGKILL)
        for child in victims:
            _signal(child, signal.SIGKILL)
        self._wait()
        wait_until(lambda: not any(map(is_alive, victims)), "its children are gone too")

    def restart(self) -> None:
        """Start it again, whether it is running, frozen, stopped or killed."""
        if self._process is not None:
            self.stop()
        self.start()

    def recover(self) -> None:
        """Have it running, whether it is running, frozen, stopped or killed."""
        if self._process is None:
            self.start()
        else:
            self.thaw()

    def freeze(self) -> None:
        """Freeze it with SIGSTOP: connections stay open without a response."""
        os.kill(self.pid, signal.SIGSTOP)
        for child in self._children():
            _signal(child, signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo `freeze`."""
        for child in self._children():
            _signal(child, signal.SIGCONT)
        os.kill(self.pid, signal.SIGCONT)

    def log(self) -> str:
        """Return what it printed since it was first started."""
        return (self.folder / "log").read_text(errors="replace")

    def remove(self) -> None:
        """End it if it is running, and delete its folder."""
        if self._process is not None:
            self.stop()
        shutil.rmtree(self.folder)

    def _wait(self) -> None:
        assert self._process is not None
        self._process.wait(PATIENCE_SECONDS)
        self._process = None

    def _spawn(
        self, command: list[str], last_signal: signal.Signals, user: str | None = None
    ) -> subprocess.Popen[bytes]:
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                user=user,
                # A group of its own, so that Ctrl-C reaches pytest alone, which ends it in order;
                # not a session of its own, or the kernel would not wake a frozen server whose
                # parent died, and what is not woken cannot end.
                process_group=0,
                preexec_fn=die_with_parent(last_signal),
            )


@contextmanager
def running(server: AnyServer) -> Iterator[AnyServer]:
    """Start `server`, and remove it when the block is left."""
    try:
        server.start()
        yield server
    finally:
        server.remove()
