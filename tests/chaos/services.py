"""One program of the fleet, kept running as systemd would keep it.

Not here: which programs there are, and what they share (`world`).
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.support.command_line import clean_environment
from tests.support.servers.lifecycle import die_with_parent, living_processes

#: As systemd's RestartSec: a program that cannot start must not eat the machine.
_PAUSE_SECONDS: Final = 0.5

#: A stopping worker may finish its batch: the time limit of 2 s, and ten for everything else.
STOP_GRACE_SECONDS: Final = 12.0


class Service:
    """A program that is started again whenever it has ended."""

    def __init__(
        self, name: str, arguments: tuple[str, ...], folder: Path, settings: Mapping[str, str]
    ) -> None:
        self.name = name
        self._command = [sys.executable, "-m", *arguments]
        self._folder = folder
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._ended_at: float | None = None
        self._stop_requested_at: float | None = None
        #: Added to the settings of the next start, and of no other.
        self.next_settings: dict[str, str] = {}
        #: Whether the run itself has ended it, or requested its end.
        self.doomed = False

    @property
    def is_running(self) -> bool:
        """Whether it was started and its end has not been noticed."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """The id of the main process, and of the group it shares with its children."""
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    def start(self) -> None:
        """Start it; it is not waited for."""
        settings = {**self._settings, **self.next_settings}
        self.next_settings = {}
        self.doomed = False
        self._stop_requested_at = None
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=clean_environment(self._folder, settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )

    def look(self) -> int | None:
        """Return its exit code once, when it has ended since the last look."""
        if self._process is None or self._process.poll() is None:
            return None
        code = self._process.returncode
        self._process = None
        self._ended_at = time.monotonic()
        return code

    @property
    def is_due(self) -> bool:
        """Whether it is not running and may be started now."""
        if self._process is not None:
            return False
        return self._ended_at is None or time.monotonic() - self._ended_at >= _PAUSE_SECONDS

    @property
    def ignores_its_stop(self) -> bool:
        """Whether its stop was requested, and its grace period is over."""
        requested = self._stop_requested_at
        return requested is not None and time.monotonic() - requested > STOP_GRACE_SECONDS

    def tell_to_stop(self) -> None:
        """Send SIGTERM to the main process."""
        self.doomed = True
        self._stop_requested_at = time.monotonic()
        self.send(signal.SIGTERM)

    def kill_main(self) -> None:
        """Kill the main process and nothing else."""
        self.doomed = True
        self.send(signal.SIGKILL)

    def kill_group(self) -> None:
        """Kill it with its children."""
        self.doomed = True
        self._stop_requested_at = None  # or its end would be looked for, and it killed, once more
        self.send_to_group(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Signal the main process, if it runs."""
        if self._process is not None:
            os.kill(self.pid, number)  # not reaped yet, so the id is still its own

    def send_to_group(self, number: signal.Signals) -> None:
        """Signal the main process and its children, if it runs."""
        if self._process is not None:
            os.killpg(self.pid, number)

    @property
    def _log_path(self) -> Path:
        return self._folder / f"{self.name.replace(' ', '-')}.log"

    def log(self) -> str:
        """Return what all its lives have printed so far."""
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    def children(self) -> list[int]:
        """Return the ids of the main process's children, in order."""
        if self._process is None:
            return []
        return sorted(each.pid for each in living_processes() if each.parent == self.pid)
