"""A worker or an intake as a process, for as long as a block lasts."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from tests.support.command_line import clean_environment
from tests.support.servers.lifecycle import die_with_parent, living_processes, wait_until

#: What each service logs, in any format, when it is ready: Celery when a worker has its broker and
#: its children; an intake when it processes the inbox, or waits for its servers.
READY = {
    "worker": re.compile(r"@\S+ ready"),
    "intake": re.compile("it processes entries of|cannot be used"),
}

#: How long a worker may take to finish its batches after SIGTERM.
GRACE_SECONDS = 60.0


def stands_still(pid: int) -> bool:
    """Whether a process's main thread sleeps and nothing wakes it (Linux).

    It then waits within one call into C; between two calls Python would have run.
    """

    def state() -> list[str]:
        status = Path(f"/proc/{pid}/task/{pid}/status").read_text()
        return [line for line in status.splitlines() if line.startswith(("State", "voluntary"))]

    before = state()
    time.sleep(0.2)
    return before == state() and "\tS" in before[0]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b"it has ended"


class WorkerProcess:
    """A running ``cratesort worker``: the parent process and, in its group, the children.

    Or another service (``intake``), which has none.
    """

    def __init__(
        self,
        arguments: tuple[str, ...],
        folder: Path,
        settings: Mapping[str, str],
        service: str = "worker",
    ) -> None:
        self._service = service
        # A test may run several workers in its one folder.
        with NamedTemporaryFile(
            dir=folder, prefix=f"{service}-", suffix=".log", delete=False
        ) as log:
            self._log = Path(log.name)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cli", service, *arguments],
                cwd=folder,
                # As a person would see it, though it is a file.
                env=clean_environment(folder, {"CRATESORT_LOG_FORMAT": "text", **settings}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )

    @property
    def pid(self) -> int:
        """The id of the parent process, and of the group it shares with its children."""
        return self._process.pid

    def processes(self) -> list[int]:
        """Return the ids of the parent and its children, as far as they live (Linux)."""
        return [process.pid for process in living_processes() if process.group == self.pid]

    def children(self) -> set[int]:
        """Return the ids of its children, as far as they live: they look like their parent."""
        return {
            pid
            for pid in self.processes()
            if pid != self.pid and _command_line(pid) == _command_line(self.pid)
        }

    def log(self) -> str:
        """Return what parent and children have printed so far."""
        return self._log.read_text(errors="replace")

    def wait_until_ready(self) -> None:
        """Return when it takes work."""

        def ready() -> bool:
            if self._has_ended():
                raise RuntimeError(
                    f"the {self._service} ended before it was ready:\n{self.log()[-4_000:]}"
                )
            return READY[self._service].search(self.log()) is not None

        wait_until(ready, f"the {self._service} is ready")

    def stop(self, number: int) -> int:
        """Send it a signal, wait for its end, and return its exit code."""
        os.kill(self.pid, number)
        return self._process.wait(GRACE_SECONDS)

    def end(self) -> None:
        """Let it finish its batches, then kill what is left of its process group."""
        if self._process.returncode is not None:
            return
        os.killpg(self.pid, signal.SIGCONT)  # a test may have frozen it
        os.kill(self.pid, signal.SIGTERM)
        try:
            wait_until(self._has_ended, "the worker has ended", GRACE_SECONDS)
        except TimeoutError:
            pass  # killed below with its children; tests look at what it left in the database
        # The parent is reaped last, so that no other process can have got its id before.
        os.killpg(self.pid, signal.SIGKILL)
        wait_until(lambda: not self.processes(), "its children are gone too")
        self._process.wait()

    def _has_ended(self) -> bool:
        """Tell whether the parent has ended, and leave its id taken."""
        look = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.pid, look) is not None


@contextmanager
def worker(
    arguments: tuple[str, ...], folder: Path, settings: Mapping[str, str]
) -> Iterator[WorkerProcess]:
    """Run ``cratesort worker ARGUMENTS`` while the block lasts."""
    process = WorkerProcess(arguments, folder, settings)
    try:
        process.wait_until_ready()
        yield process
    finally:
        process.end()


@contextmanager
def intake(folder: Path, settings: Mapping[str, str]) -> Iterator[WorkerProcess]:
    """Run ``cratesort intake`` while the block lasts."""
    process = WorkerProcess((), folder, settings, "intake")
    try:
        process.wait_until_ready()
        yield process
    finally:
        process.end()
