"""Walking folders for sounds.

Only files without an extension are opened: their first bytes tell whether they are sounds. Links
to folders are not followed: their contents are found under their own names, or lie outside.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from operator import attrgetter

from classifier.files.extensions import MACOS_LEFTOVER, is_named_like_a_sound
from classifier.files.paths import path_text, printable
from classifier.headers.sniffing import looks_like_audio
from tasks.producer.locator import FoundSound, Locator


@dataclass(slots=True)
class Ignored:
    """What a walk passed over.

    - `counts`: by reason: ``not audio``, ``macOS leftovers``, ``links``, ``unreadable folders``.
    - `folders`: the unreadable ones, each with its error.
    """

    counts: Counter[str] = field(default_factory=Counter)
    folders: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many files and folders."""
        return self.counts.total()


def find(paths: Iterable[str | bytes], locator: Locator, ignored: Ignored) -> Iterator[FoundSound]:
    """Yield the sounds at and below `paths`, in name order within each folder.

    Folders are walked, none twice. A file is taken whatever its name, for it was named. What is
    passed over is added to `ignored`.

    Raises OutsideRootsError: a path lies in no root.
    """
    resolved = {os.path.realpath(os.fsencode(path)) for path in paths}
    folders = set(filter(os.path.isdir, resolved))
    # Taken even where the walk of a folder above would pass them over.
    named = resolved - folders
    for path in sorted(resolved):
        if path in named:
            yield locator.sound(locator.library_root(path), path)
        elif not any(path.startswith(other.rstrip(b"/") + b"/") for other in folders - {path}):
            yield from _walk(path, locator, ignored, named)


def _walk(
    base: bytes, locator: Locator, ignored: Ignored, named: Set[bytes]
) -> Iterator[FoundSound]:
    base = base.rstrip(b"/")
    folders = [base or b"/"]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=attrgetter("name"))
        except OSError as error:
            ignored.counts["unreadable folders"] += 1
            ignored.folders.append(f"{printable(path_text(folder))}: {error.strerror}")
            continue
        # For each folder: a root may lie within another one.
        location = locator.folder_location(locator.library_root(folder), folder, base)
        below: list[bytes] = []
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name == b"__MACOSX":
                    ignored.counts["macOS leftovers"] += 1
                    continue
                below.append(entry.path)
                if is_named_like_a_sound(entry.name):
                    # Its owner will look for a row of that name.
                    yield location.sound(entry.name, None)
                continue
            if (named and entry.path in named) or _passed_over(entry, base, ignored):
                continue
            yield location.sound(entry.name, _status(entry))
        folders.extend(reversed(below))


def _passed_over(entry: os.DirEntry[bytes], base: bytes, ignored: Ignored) -> bool:
    """Whether a walk leaves this entry out, counting it if so."""
    name = entry.name
    if name.startswith(MACOS_LEFTOVER):
        ignored.counts["macOS leftovers"] += 1
        return True
    if entry.is_symlink():
        if _stays_within(entry.path, base) or not is_named_like_a_sound(name):
            ignored.counts["links"] += 1
            return True
        return False  # its row will say where it leads
    if is_named_like_a_sound(name):
        return False
    if b"." not in name.lstrip(b".") and entry.is_file() and _starts_like_audio(entry.path):
        return False
    ignored.counts["not audio"] += 1
    return True


def _stays_within(link: bytes, base: bytes) -> bool:
    """Whether a link leads to something that the walk meets under its own name."""
    try:
        target = os.path.realpath(link, strict=True)
    except OSError:
        return False
    return target.startswith(base + b"/") and is_named_like_a_sound(os.path.basename(target))


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
        return entry.stat(follow_symlinks=False)
    except OSError:
        return None
