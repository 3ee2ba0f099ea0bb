"""Walking folders to find sounds.

Sounds are recognised by their extension. Only files without an extension are opened: their first
bytes show whether they are audio. Links to folders are not followed: their targets are found under
their own names, or lie outside the walked folder.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Final

from classifier.files.extensions import (
    MACOS_LEFTOVER,
    UNREAD_AUDIO_EXTENSIONS,
    extension_of,
    has_audio_extension,
)
from classifier.files.paths import path_text, printable
from classifier.headers.sniffing import looks_like_audio
from tasks.producer.exclusion import IGNORE_FILE, Exclusion, kind_of_no_sounds
from tasks.producer.locator import FoundSound, Locator, target_of
from workers.faults import STORAGE_ERRNOS

_EXTENSION: Final = re.compile(r"\.[a-z0-9_-]{1,8}")

#: Files of further kinds are counted together, as `_OTHER_FILES`.
_MOST_KINDS: Final = 200

#: The kind of names without an extension, or with an implausible one.
_OTHER_FILES: Final = "other files"


@dataclass(slots=True)
class Ignored:
    """The files and folders that a walk skipped.

    - `counts`: how many of each kind: ``links``, ``macOS leftovers``, ``hidden folders``,
      ``@eaDir/``, ``excluded``, ``.zip``, ``unreadable folders`` ...
    - `unsupported_format`: how many have the extension of an audio format that is not read.
    - `folders`: unreadable folders, each with the reason.
    - `storage_failed`: whether the storage of a folder that the caller gave failed.
    - `not_walked`: paths of unreadable and of skipped folders.
    - `sounds_in`: for each folder that the caller gave, the sounds found below it, by library root.
    """

    counts: Counter[str] = field(default_factory=Counter)
    unsupported_format: int = 0
    folders: list[str] = field(default_factory=list)
    storage_failed: bool = False
    not_walked: set[bytes] = field(default_factory=set)
    sounds_in: dict[bytes, Counter[str]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many files and folders were skipped."""
        return self.counts.total()

    def leave_out(self, path: bytes, kind: str, *, is_folder: bool) -> None:
        """Count a file or folder that is skipped by its name or by a pattern."""
        self.counts[kind] += 1
        if is_folder:
            self.not_walked.add(path)

    def add_file(self, name: bytes) -> None:
        """Count a skipped file by its extension."""
        extension = extension_of(name)
        self.unsupported_format += extension in UNREAD_AUDIO_EXTENSIONS
        kind = f".{extension}"
        if (
            not _EXTENSION.fullmatch(kind)
            or name.startswith(b".")
            or (kind not in self.counts and len(self.counts) >= _MOST_KINDS)
        ):
            kind = _OTHER_FILES
        self.counts[kind] += 1


def find(
    paths: Iterable[str | bytes], locator: Locator, ignored: Ignored, exclude: Sequence[str] = ()
) -> Iterator[FoundSound]:
    """Yield the sounds at and below `paths`, in name order within each folder.

    No folder is walked twice. A path to a file is taken as a sound, whatever its name. Skipped
    files and folders are added to `ignored`.

    - `exclude`: patterns of files and folders to skip (`tasks.producer.exclusion`).

    Raises OutsideRootsError: a path is in no library root.
    """
    resolved = {target_of(os.fsencode(path)) for path in paths}
    folders = set(filter(os.path.isdir, resolved))
    # Taken even if the walk of a folder above would skip them.
    named = resolved - folders
    for path in sorted(resolved):
        if path in named:
            yield locator.sound(locator.library_root(path), path)
        elif not any(path.startswith(other.rstrip(b"/") + b"/") for other in folders - {path}):
            by_root = ignored.sounds_in[path] = Counter()
            base = path.rstrip(b"/")
            for sound in _walk(base, locator, ignored, named, Exclusion.of_walk(exclude, base)):
                by_root[sound.root] += 1
                yield sound


def _walk(
    base: bytes, locator: Locator, ignored: Ignored, named: Set[bytes], exclusion: Exclusion
) -> Iterator[FoundSound]:
    folders = [(base or b"/", exclusion)]
    while folders:
        folder, exclusion = folders.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=attrgetter("name"))
            if any(entry.name == IGNORE_FILE for entry in entries):
                exclusion = exclusion.with_ignore_file(folder)
        except OSError as error:
            ignored.counts["unreadable folders"] += 1
            ignored.folders.append(f"{printable(path_text(folder))}: {error.strerror}")
            ignored.not_walked.add(folder)
            is_given = folder == (base or b"/")
            ignored.storage_failed |= is_given and error.errno in STORAGE_ERRNOS
            continue
        # Determined for each folder: one root may lie within another.
        location = locator.folder_location(locator.library_root(folder), folder, base)
        below: list[tuple[bytes, Exclusion]] = []
        for entry in entries:
            if entry.name == IGNORE_FILE or (named and entry.path in named):
                continue
            is_folder = _is_true(partial(entry.is_dir, follow_symlinks=False))
            if exclusion.excludes(entry.path, entry.name, is_folder=is_folder):
                ignored.leave_out(entry.path, "excluded", is_folder=is_folder)
            elif not is_folder:
                if not _is_skipped(entry, base, ignored):
                    yield location.sound(entry.name, _status(entry))
            elif kind := kind_of_no_sounds(entry.name):
                ignored.leave_out(entry.path, kind, is_folder=True)
            else:
                below.append((entry.path, exclusion))
        folders.extend(reversed(below))


def _is_true(check: Callable[[], bool]) -> bool:
    """Return the result of a check of an entry; False if the storage fails."""
    try:
        return check()
    except OSError:
        return False


def _is_skipped(entry: os.DirEntry[bytes], base: bytes, ignored: Ignored) -> bool:
    """Return whether a walk skips this file or link, and count it if so."""
    name = entry.name
    if name.startswith(MACOS_LEFTOVER):
        ignored.counts["macOS leftovers"] += 1
        return True
    if _is_true(entry.is_symlink):
        if (
            not has_audio_extension(name)
            or os.path.isdir(entry.path)
            or _stays_within(entry.path, base)
        ):
            ignored.counts["links"] += 1
            return True
        return False  # a worker classifies the target, or records why it cannot
    if has_audio_extension(name):
        return False
    if b"." not in name.lstrip(b".") and _is_true(entry.is_file) and _starts_like_audio(entry.path):
        return False
    ignored.add_file(name)
    return True


def _stays_within(link: bytes, base: bytes) -> bool:
    """Whether a link leads to a sound that the walk finds under its own name."""
    try:
        target = os.path.realpath(link, strict=True)
    except (OSError, RecursionError):  # RecursionError: a long chain of links
        return False
    return target.startswith(base + b"/") and has_audio_extension(os.path.basename(target))


def _starts_like_audio(path: bytes) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return looks_like_audio(fd)
    except OSError:
        return False
    finally:
        os.close(fd)


def _status(entry: os.DirEntry[bytes]) -> os.stat_result | None:
    try:
        # None for a link: its target may be missing, and no row has the link's own size.
        return None if entry.is_symlink() else entry.stat(follow_symlinks=False)
    except OSError:
        return None
