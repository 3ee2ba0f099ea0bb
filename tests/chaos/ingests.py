"""Ingests the library folder by folder, and retries until each is submitted.

``cratesort ingest --no-wait`` is retried if it exits with 3 (nothing was submitted), or if its
folder was moved before it started.
"""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.chaos.library import Folder, Library
from tests.chaos.world import World

#: Seconds between two new folders, and before an ingest is retried that did not reach the database.
_NEW_FOLDER_SECONDS: Final = 3.0
_AGAIN_SECONDS: Final = 0.5
#: On a busy machine an ingest takes longer than it takes to write the next folder.
_MOST_WAITING: Final = 2

#: 0: submitted; 1: submitted, and some unchanged files of this run had failed before.
_SUBMITTED: Final = (0, 1)
_AWAY: Final = 3
#: Its folder was moved.
_NO_SUCH_FOLDER: Final = 2


@dataclass
class _Ingest:
    process: subprocess.Popen[bytes]
    log: Path
    #: None: a second submission of files that were submitted already, which is not checked.
    folder: Folder | None
    #: How often the library had been put in another order.
    order: int
    was_killed: bool = False


class Ingests:
    """Adds folders to the library and ingests each until it is submitted."""

    def __init__(self, world: World, library: Library) -> None:
        self._world = world
        self.library = library
        self._waiting: list[Folder] = []
        self._running: list[_Ingest] = []
        self._next_folder_at = time.monotonic()
        self._not_before = 0.0
        self._count = 0
        #: Submitted folders, and the files in them at the time.
        self.submitted_folders = 0
        self.submitted_files = 0
        #: Ingests that submitted nothing: the database was unreachable, or they were killed.
        self.refused = 0

    def look_after(self, *, new_folders: bool) -> None:
        """Handle ended ingests, start the next one, and write a new folder if it is time."""
        self._running = [ingest for ingest in self._running if not self._has_ended(ingest)]
        moment = time.monotonic()
        is_late = len(self._waiting) >= _MOST_WAITING
        if new_folders and moment >= self._next_folder_at and not is_late:
            self._next_folder_at = moment + _NEW_FOLDER_SECONDS
            self._waiting.append(self.library.add())
        busy = any(ingest.folder is not None for ingest in self._running)
        if self._waiting and not busy and moment >= self._not_before:
            folder = self._waiting.pop(0)
            if not folder.is_deleted:
                self._start(folder.path, folder)

    @property
    def is_done(self) -> bool:
        """Whether every folder was submitted and no ingest is running."""
        return not self._waiting and not self._running

    def submit(self, folder: Folder) -> None:
        """Ingest one more folder."""
        self._waiting.append(folder)

    def submit_again(self, pick: float) -> str:
        """Submit a folder again that may still be open; return its name."""
        choices = [self.library.root, *(folder.path for folder in self.library.folders[-4:])]
        chosen = choices[int(pick * len(choices))]
        self._start(chosen, None)
        return chosen.name

    def reclassify(self, pick: float) -> str:
        """Have a folder classified again; return its name."""
        folder = self.library.folders[int(pick * len(self.library.folders))]
        self._start(folder.path, None, "--reclassify")
        return folder.path.name

    def walk_all(self) -> None:
        """Ingest the whole library, with retries until it is submitted."""
        self._waiting.append(Folder(self.library.root, b"", {}))

    def kill_one(self) -> str:
        """Kill the ingest that was started last; return the files it was ingesting."""
        if not self._running:
            return "none is running"
        ingest = self._running[-1]
        ingest.was_killed = True
        ingest.process.kill()
        return ingest.log.stem

    def _start(self, path: Path, folder: Folder | None, *options: str) -> None:
        self._count += 1
        name = f"ingest-{self._count:03}"
        process = self._world.spawn(name, "cli", "ingest", "--no-wait", *options, path)
        self._running.append(
            _Ingest(process, self._world.folder / f"{name}.log", folder, self.library.order)
        )

    def _has_ended(self, ingest: _Ingest) -> bool:
        code = ingest.process.poll()
        if code is None:
            return False
        output = ingest.log.read_text(errors="replace")
        submitted = code in _SUBMITTED and "Traceback" not in output
        was_moved = code == _NO_SUCH_FOLDER and (
            ingest.order != self.library.order or self._world.is_hit("library")
        )
        if not (submitted or code == _AWAY or was_moved or ingest.was_killed):
            self._world.surprises.append(f"{ingest.log.name} ended with {code}: {output[-300:]!r}")
        if ingest.folder is not None and submitted:
            self.submitted_folders += 1
            self.submitted_files += len(ingest.folder.sounds)
        elif ingest.folder is not None:
            self.refused += 1
            self._not_before = time.monotonic() + _AGAIN_SECONDS
            self._waiting.insert(0, ingest.folder)
        return True
