"""The files of a run, each with the outcomes its row may have, and what people do to them.

Folders are added, renamed, regrouped and deleted, and so are files. Every path is used once, and
every file has a time of its own, so that a file that moves can be distinguished. Not here:
when a folder is handed in (`ingests`).
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from classifier.errors import ErrorCode
from classifier.files.paths import path_text
from tests.support import sounds

#: An outcome is this, or the code of an error.
CLASSIFIED: Final = "classified"

#: The error codes of a file that crashes its reader. Which of the two depends on what is quicker.
_POISONED: Final = frozenset(map(str, (ErrorCode.CRASHED_READER, ErrorCode.TIMED_OUT)))

#: Error codes that any file may have until the next walk: it was moved before it was read, or its
#: storage failed.
PASSING: Final = frozenset(map(str, (ErrorCode.MISSING_FILE, ErrorCode.STORAGE_ERROR)))

_FORMATS: Final = ("WAV", "FLAC", "AIFF", "OGG")
_WORDS: Final = ("kick", "bass loop 128 Fmin", "vocal dry", "pad_Cmaj", "snare-top", "FX riser 90")
#: Names that quoting, logging or encoding could stumble over.
_AWKWARD: Final = (b"=HYPERLINK.wav", b"two\nlines.wav", b"not utf-8 \xff\xfe.wav", b"--help.wav")

_BATCH: Final = 16
_USUAL_SOUNDS: Final = 150
#: The first folder is a backlog: the faults find the workers at work from the beginning on.
_FIRST_SOUNDS: Final = 600
#: Files that are renamed, moved or deleted at once.
_AT_ONCE: Final = 6
#: Folders that are put below a new one at once.
_REGROUPED: Final = 3
#: Below so many none is deleted, or a run with little time to write new ones ends without files.
_FOLDERS_KEPT: Final = 6
#: No whole second, and long ago: files that are written within one tick of the kernel's clock would
#: have one time.
_FIRST_TIME_NS: Final = 1_700_000_000_123_456_789
_NEXT_TIME_NS: Final = 1_000_003


@dataclass(eq=False)
class Sound:
    """A file, wherever it is."""

    outcomes: frozenset[str]
    #: Below the root, as the ledger writes them: all it ever had. The last one is its path now.
    paths: list[str] = field(default_factory=list)
    is_deleted: bool = False
    #: Whether it had another name in a folder it was in. Of such a file an ingest that broke off
    #: may have left two rows, the older of which keeps the label.
    was_renamed: bool = False
    label: str | None = None

    @property
    def path(self) -> str:
        """Where it is, or was when it was deleted."""
        return self.paths[-1]

    @property
    def keeps_label_at(self) -> list[str]:
        """The paths of which one must have its label."""
        return self.paths if self.is_deleted or self.was_renamed else self.paths[-1:]


@dataclass(eq=False)
class Folder:
    """A folder of sounds that is written at once and handed in as one."""

    root: Path
    #: Below the root.
    place: bytes
    sounds: dict[bytes, Sound]
    is_deleted: bool = False

    @property
    def path(self) -> Path:
        """Where a producer finds it."""
        return self.root / os.fsdecode(self.place)


@cache
def _sound(container: str) -> bytes:
    return sounds.encoded(container)


class Library:
    """The library root, to which folders are added as the run goes on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.root.mkdir()
        self.folders: list[Folder] = []
        self.sounds: list[Sound] = []
        self._home = root
        self._places: set[str] = set()
        #: Goes up whenever a folder comes to be elsewhere.
        self.order = 0
        self._count = 0
        self._written = 0
        self._outside = root.parent / "outside.wav"
        self._outside.write_bytes(_sound("WAV"))

    @property
    def expected(self) -> dict[str, frozenset[str]]:
        """The allowed outcomes of each existing file."""
        return {sound.path: sound.outcomes for sound in self.sounds if not sound.is_deleted}

    @property
    def left(self) -> frozenset[str]:
        """The paths at which a file was, and is no longer; and those of folders.

        A folder that goes away just before it is walked is a missing file to its ingest.
        """
        were = {path for sound in self.sounds for path in sound.paths}
        return frozenset(were | self._places) - set(self.expected)

    @property
    def labelled(self) -> Iterator[Sound]:
        """The files that were given a label."""
        return (sound for sound in self.sounds if sound.label is not None)

    # Folders come

    def add(self) -> Folder:
        """Write the next folder: good sounds, and in some a poisonous and a few broken ones."""
        number = self._written
        count = _USUAL_SOUNDS if number else _FIRST_SOUNDS
        return self._write(number, count, poison=number < 4 or number % 16 == 0)

    def add_small(self) -> Folder:
        """Write a folder of a few batches of good sounds."""
        return self._write(self._written, 3 * _BATCH, poison=False)

    def _write(self, number: int, count: int, *, poison: bool) -> Folder:
        # Renamed when it is complete: an ingest may be walking the root at this moment.
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
        names = sorted(os.listdir(os.fsencode(unfinished)))
        good = frozenset({CLASSIFIED})
        folder = Folder(
            self.root,
            b"pack %03d" % number,
            {name: Sound(outcomes.get(name, good)) for name in names},
        )
        for name in names:
            moment = _FIRST_TIME_NS + _NEXT_TIME_NS * self._next()
            path = os.path.join(os.fsencode(unfinished), name)
            os.utime(path, ns=(moment, moment), follow_symlinks=False)
        os.rename(unfinished, self._at(folder.place))
        self._note_paths(folder)
        self.folders.append(folder)
        self._written += 1
        self.sounds += folder.sounds.values()
        return folder

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

    # People put it in order

    def rename_sounds(self, pick: float) -> str:
        """Give some files of a folder other names."""
        folder = self._folder(pick)
        for name, sound in self._some(folder, pick):
            sound.was_renamed = True
            self._move(folder, name, folder, self._other_name(name))
        return str(folder.path.name)

    def move_sounds(self, pick: float) -> str:
        """Put some files of a folder into the next one."""
        source = self._folder(pick)
        target = self.folders[(self.folders.index(source) + 1) % len(self.folders)]
        if source is target:
            return "there is one folder only"
        for name, _ in self._some(source, pick):
            self._move(source, name, target, self._other_name(name))
        return f"from {source.path.name} to {target.path.name}"

    def delete_sounds(self, pick: float) -> str:
        """Delete some files of a folder."""
        folder = self._folder(pick)
        for name, sound in self._some(folder, pick):
            os.unlink(os.path.join(self._at(folder.place), name))
            sound.is_deleted = True
            del folder.sounds[name]
        return folder.path.name

    def rename_folder(self, pick: float) -> str:
        """Give a folder another name."""
        folder = self._later_folder(pick)
        if folder is None:
            return "there is one folder only"
        before = folder.path.name
        self._move_folder(folder, b"pack renamed %d" % self._next())
        return f"{before}, now {folder.path.name}"

    def regroup(self, pick: float) -> str:
        """Put some folders below a new one."""
        group = b"group %d" % self._next()
        moved = {folder for turn in range(_REGROUPED) if (folder := self._later_folder(pick, turn))}
        os.mkdir(self._at(group))
        for folder in moved:
            self._move_folder(folder, os.path.join(group, b"pack %d" % self._next()))
        return f"{len(moved)} folders, now below {group.decode()}"

    def delete_folder(self, pick: float) -> str:
        """Delete a folder with all that is in it."""
        folder = self._later_folder(pick)
        if folder is None or len(self.folders) < _FOLDERS_KEPT:
            return "there are too few"
        # At once, and not file by file: what is walked meanwhile is there or is not.
        doomed = self.root.parent / f"doomed {self._next()}"
        os.rename(self._at(folder.place), doomed)
        shutil.rmtree(doomed)
        self._remove_if_empty(folder.place)
        self.order += 1
        for sound in folder.sounds.values():
            sound.is_deleted = True
        folder.is_deleted = True
        self.folders.remove(folder)
        return folder.path.name

    def _folder(self, pick: float, first: int = 0) -> Folder:
        return self.folders[first + int(pick * (len(self.folders) - first))]

    def _later_folder(self, pick: float, turn: int = 0) -> Folder | None:
        # Never the first: of a root in which nothing is at its place, nothing is taken for gone.
        if len(self.folders) < 2:
            return None
        return self._folder((pick + turn / 3) % 1, first=1)

    @staticmethod
    def _some(folder: Folder, pick: float) -> list[tuple[bytes, Sound]]:
        names = sorted(folder.sounds)
        first = int(pick * max(0, len(names) - _AT_ONCE))
        return [(name, folder.sounds[name]) for name in names[first : first + _AT_ONCE]]

    def _move(self, source: Folder, name: bytes, target: Folder, new_name: bytes) -> None:
        os.rename(
            os.path.join(self._at(source.place), name),
            os.path.join(self._at(target.place), new_name),
        )
        target.sounds[new_name] = source.sounds.pop(name)
        self._note_path(target, new_name)

    def _move_folder(self, folder: Folder, place: bytes) -> None:
        os.rename(self._at(folder.place), self._at(place))
        self._remove_if_empty(folder.place)
        self.order += 1
        folder.place = place
        self._note_paths(folder)

    def _remove_if_empty(self, place: bytes) -> None:
        """Remove the folder around a place: an empty one looks like a mount that is away."""
        group = os.path.dirname(place)
        if group and not os.listdir(self._at(group)):
            os.rmdir(self._at(group))

    def _other_name(self, name: bytes) -> bytes:
        """Return a name that begins and ends alike: a file that ends its reader still does."""
        stem, extension = os.path.splitext(name)
        return b"%s (%d)%s" % (stem, self._next(), extension)

    def _note_paths(self, folder: Folder) -> None:
        self._places.add(path_text(folder.place))
        for name in folder.sounds:
            self._note_path(folder, name)

    @staticmethod
    def _note_path(folder: Folder, name: bytes) -> None:
        folder.sounds[name].paths.append(path_text(os.path.join(folder.place, name)))

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _at(self, place: bytes) -> bytes:
        return os.path.join(os.fsencode(self._home), place)

    # Its mount goes away

    def take_away(self) -> Callable[[], None]:
        """Leave an empty folder in its place, as a mount that is away does; return the way back."""
        away = self.root.with_name("library, mounted elsewhere")
        self.root.rename(away)
        self.root.mkdir()
        self._home = away
        self.order += 1

        def bring_back() -> None:
            self.root.rmdir()
            away.rename(self.root)
            self._home = self.root
            self.order += 1

        return bring_back
