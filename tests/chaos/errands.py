"""Short commands that a user calls while the fleet runs: each ends with an exit code it may have.

Not here: handing in new folders (`handing_in`), which is repeated until it succeeds.
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
    may_say: Collection[int]
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
        may_say: Collection[int],
        when_done: Callable[[], None] | None = None,
    ) -> None:
        """Start ``cratesort ARGUMENTS``.

        - `may_say`: its exit codes; any other one, and a traceback, breaks a promise.
        - `when_done`: called when it ended with 0.
        """
        self._count += 1
        name = f"errand-{self._count:03}-{arguments[0]}"
        process = self._world.spawn(name, "cli", *arguments)
        log = self._world.folder / f"{name}.log"
        self._running.append(_Errand(process, log, may_say, when_done))

    def look_after(self) -> None:
        """Note which of them have ended."""
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
        if code not in errand.may_say or "Traceback" in output:
            self._world.surprises.append(f"{errand.log.name} ended with {code}: {output[-300:]!r}")
        if code == 0 and errand.when_done is not None:
            errand.when_done()
        return True
