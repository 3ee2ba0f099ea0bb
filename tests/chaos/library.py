"""The files of a run, folder by folder, each with the outcomes its row may have.

Not here: when a folder appears and is handed in (`handing_in`).
"""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from classifier.errors import ErrorCode
from classifier.files.paths import path_text
from tests.support import sounds

#: An outcome is this, or the code of an error.
CLASSIFIED: Final = "classified"

#: What a row may say of a file that ends its reader. Which of the two depends on who was quicker.
_POISONED: Final = frozenset(map(str, (ErrorCode.CRASHED_READER, ErrorCode.TIMED_OUT)))

_FORMATS: Final = ("WAV", "FLAC", "AIFF", "OGG")
_WORDS: Final = ("kick", "bass loop 128 Fmin", "vocal dry", "pad_Cmaj", "snare-top", "FX riser 90")
#: Names that quoting, logging or encoding could stumble over.
_AWKWARD: Final = (b"=HYPERLINK.wav", b"two\nlines.wav", b"not utf-8 \xff\xfe.wav", b"--help.wav")

_BATCH: Final = 16
_USUAL_SOUNDS: Final = 150
#: The first folder is a backlog: the faults find the workers at work from the beginning on.
_FIRST_SOUNDS: Final = 600


@dataclass(frozen=True)
class Folder:
    """A folder of sounds that is written at once and handed in as one."""

    path: Path
    #: By path below the root, as the ledger writes it: what its row may say.
    expected: dict[str, frozenset[str]]


@cache
def _sound(container: str) -> bytes:
    return sounds.encoded(container)


class Library:
    """The library root, to which folders are added as the run goes on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.root.mkdir()
        self.folders: list[Folder] = []
        self._outside = root.parent / "outside.wav"
        self._outside.write_bytes(_sound("WAV"))

    @property
    def expected(self) -> dict[str, frozenset[str]]:
        """What each row may say, over all folders."""
        return {path: outcomes for each in self.folders for path, outcomes in each.expected.items()}

    def add(self) -> Folder:
        """Write the next folder: good sounds, and in some a poisonous and a few broken ones."""
        number = len(self.folders)
        count = _USUAL_SOUNDS if number else _FIRST_SOUNDS
        return self._write(number, count, poison=number < 4 or number % 16 == 0)

    def add_small(self) -> Folder:
        """Write a folder of a few batches of good sounds."""
        return self._write(len(self.folders), 3 * _BATCH, poison=False)

    def _write(self, number: int, count: int, *, poison: bool) -> Folder:
        # Renamed when it is whole: somebody may be walking the root at this moment.
        unfinished = self.root.parent / f"unfinished {number}"
        unfinished.mkdir()
        outcomes: dict[bytes, frozenset[str]] = {}
        for index in range(count):
            container = _FORMATS[index % len(_FORMATS)]
            word = _WORDS[index % len(_WORDS)]
            (unfinished / f"{index:04} {word}.{container.lower()}").write_bytes(_sound(container))
        for name in _AWKWARD:
            (unfinished / os.fsdecode(name)).write_bytes(_sound("WAV"))
        if poison:
            poisoned = f"{'endless' if number % 2 else 'abort'} {number}.wav"
            (unfinished / poisoned).write_bytes(_sound("WAV"))
            outcomes[os.fsencode(poisoned)] = _POISONED
        if count > 3 * _BATCH:
            outcomes |= self._write_broken(unfinished)
        folder = self.root / f"pack {number:03}"
        names = os.listdir(os.fsencode(unfinished))
        unfinished.rename(folder)
        added = Folder(
            folder,
            {
                path_text(os.fsencode(folder.name) + b"/" + name): outcomes.get(
                    name, frozenset({CLASSIFIED})
                )
                for name in names
            },
        )
        self.folders.append(added)
        return added

    def _write_broken(self, folder: Path) -> dict[bytes, frozenset[str]]:
        (folder / "empty.wav").touch()
        (folder / "text.wav").write_text("this is no sound\n" * 9)
        (folder / "cut.wav").write_bytes(_sound("WAV")[:-100])
        (folder / "link.wav").symlink_to(self._outside)
        os.mkfifo(folder / "pipe.wav")
        return {
            b"empty.wav": frozenset({str(ErrorCode.EMPTY_FILE)}),
            b"text.wav": frozenset({str(ErrorCode.NOT_AUDIO)}),
            b"cut.wav": frozenset({str(ErrorCode.TRUNCATED)}),
            b"link.wav": frozenset({str(ErrorCode.OUTSIDE_ROOT)}),
            b"pipe.wav": frozenset({str(ErrorCode.NOT_A_FILE)}),
        }
