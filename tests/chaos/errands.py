"""Short commands that a user runs while the fleet works; each has a set of allowed exit codes.

Ingests, which are retried until they succeed, are in `ingests`.
"""

import subprocess
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.world import World


@dataclass
class _Errand:
    process: subprocess.Popen[bytes]
    log: Path
    exit_codes: Collection[int]
    when_done: Callable[[], None] | None


class Errands:
    """The commands that run at the moment."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._running: list[_Errand] = []
        self._count = 0

    def run(
        self,
        *arguments: str | Path,
        exit_codes: Collection[int],
        when_done: Callable[[], None] | None = None,
    ) -> None:
        """Start ``cratesort ARGUMENTS``.

        - `exit_codes`: the allowed ones; any other one, or a traceback, is an error of the run.
        - `when_done`: called after exit code 0.
        """
        self._count += 1
        name = f"errand-{self._count:03}-{arguments[0]}"
        process = self._world.spawn(name, "cli", *arguments)
        log = self._world.folder / f"{name}.log"
        self._running.append(_Errand(process, log, exit_codes, when_done))

    def look_after(self) -> None:
        """Handle the commands that have ended."""
        self._running = [errand for errand in self._running if not self._has_ended(errand)]

    @property
    def is_done(self) -> bool:
        """Whether none of them runs."""
        return not self._running

    def _has_ended(self, errand: _Errand) -> bool:
        code = errand.process.poll()
        if code is None:
            return False
        output = errand.log.read_text(errors="replace")
        if code not in errand.exit_codes or "Traceback" in output:
            self._world.surprises.append(f"{errand.log.name} ended with {code}: {output[-300:]!r}")
        if code == 0 and errand.when_done is not None:
            errand.when_done()
        return True
