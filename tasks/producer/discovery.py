"""Finding sounds: walking folders, and giving each file its root, path, pack and vendor.

Nothing is opened but files without an extension (their first bytes say whether they are sounds).
Links to folders are not followed: what they show is found under its own name, or lies outside.
"""

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from itertools import chain, count
from operator import attrgetter
from typing import Final, NamedTuple

from classifier.errors import CratesortError
from classifier.files.extensions import MACOS_LEFTOVER, is_named_like_a_sound
from classifier.files.paths import path_text, printable
from classifier.files.safe_open import mtime_ns
from classifier.headers.sniffing import looks_like_audio
from workers.settings import ABSOLUTE_ROOT, Settings


class OutsideRootsError(CratesortError):
    """A path that lies in no configured library root."""


#: Of what 64 bits with a sign hold, as `classifier.files.safe_open.mtime_ns` bounds it.
_LATEST_NS: Final = 2**63 - 1


class FoundSound(NamedTuple):
    """A file to be classified.

    Attributes
    ----------
    root, path : str
        As the ledger keeps them.
    file_size_bytes, mtime_ns : int or None
        None when the file could not be looked at; it then gets its row from a worker.
    """

    root: str
    path: str
    pack: str
    vendor: str
    file_size_bytes: int | None
    mtime_ns: int | None


@dataclass(slots=True)
class Ignored:
    """What a walk passed over, counted by why.

    Attributes
    ----------
    counts : Counter of str
        ``not audio``, ``macOS leftovers``, ``links``, ``unreadable folders``.
    """

    counts: Counter[str] = field(default_factory=Counter)
    folders: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All of them."""
        return self.counts.total()


@dataclass(frozen=True, slots=True)
class Place:
    """A root's name and the folder its paths are relative to, as bytes without trailing slash."""

    root: str
    folder: bytes


class Locator:
    """Gives files their root, path, pack and vendor."""

    def __init__(self, settings: Settings) -> None:
        self._vendor_level = settings.vendor_level
        self._roots = [
            Place(name, os.path.realpath(os.fsencode(folder)).rstrip(b"/"))
            for name, folder in settings.library_roots.items()
        ]
        #: Whether paths are absolute and resolved, for want of roots (one machine, one process).
        self.absolute = settings.in_process and not settings.library_roots
        # The deepest root first, for roots within roots.
        self._roots.sort(key=lambda place: -len(place.folder))

    def resolve(
        self, path: bytes, real_folder: Callable[[bytes], bytes] = os.path.realpath
    ) -> bytes:
        """Return the absolute path of a file that a list names, as its row will be called.

        Parameters
        ----------
        real_folder : callable
            `os.path.realpath`, or one that remembers the folders it was asked for.
        """
        folder, name = os.path.split(os.path.abspath(path))
        resolved = os.path.join(real_folder(folder), name)
        # Within roots a link keeps its own name: the worker decides whether it stays inside.
        if self.absolute and os.path.islink(resolved):
            return os.path.realpath(resolved)
        return resolved

    def below(self, root: str, path: bytes) -> bytes:
        """Return the absolute path of what a root's name and a path name together.

        Parameters
        ----------
        path : bytes
            Relative to the root's folder, or absolute and within it.

        Raises
        ------
        OutsideRootsError
            This host does not know the root, or the path leads out of it.
        """
        folder = next((place.folder for place in self._roots if place.root == root), None)
        if folder is None:
            known = ", ".join(sorted(place.root for place in self._roots)) or "none"
            raise OutsideRootsError(
                f"the library root {root[:64]!r} is not known here (known: {known}): add "
                "NAME=/its/folder to CRATESORT_LIBRARY_ROOTS"
            )
        resolved = self.resolve(os.path.join(folder or b"/", path))
        if not resolved.startswith(folder + b"/"):
            shown = printable(path_text(path))
            raise OutsideRootsError(f"{shown} lies outside of the library root {root!r}")
        return resolved

    def place(self, resolved: bytes) -> Place:
        """Return where a resolved absolute path belongs.

        Raises
        ------
        OutsideRootsError
            With the line that would allow it.
        """
        for place in self._roots:
            if resolved == place.folder or resolved.startswith(place.folder + b"/"):
                return place
        if self.absolute:
            return Place(ABSOLUTE_ROOT, b"")
        folder = os.path.dirname(resolved) if not os.path.isdir(resolved) else resolved
        shown = printable(path_text(folder))
        more = "".join(f"{place.root}={os.fsdecode(place.folder)}," for place in self._roots)
        taken = {place.root for place in self._roots}
        names = chain(["library"], (f"library{number}" for number in count(2)))
        name = next(name for name in names if name not in taken)
        raise OutsideRootsError(
            f"{printable(path_text(resolved))} lies in no library root, and other hosts would not "
            f"find it. To allow it: CRATESORT_LIBRARY_ROOTS={more}{name}={shown}"
        )

    def sound(
        self,
        place: Place,
        resolved: bytes,
        base: bytes,
        status: os.stat_result | None,
        vendor: str | None = None,
    ) -> FoundSound:
        """Return a found file as the ledger knows it.

        Parameters
        ----------
        place : Place
            From `place`.
        resolved : bytes
            The file's absolute path.
        base : bytes
            The folder that was asked for; its first folder below names the pack where there is
            no root.
        vendor : str, optional
            From a manifest; wins over the path.
        """
        folder, name = os.path.split(resolved)
        return self.shelf(place, folder, base).sound(name, status, vendor)

    def shelf(self, place: Place, folder: bytes, base: bytes) -> "Shelf":
        """Return what all files right in a folder have in common.

        Parameters
        ----------
        place : Place
            From `place`.
        folder : bytes
            Absolute.
        base : bytes
            As for `sound`.
        """
        absolute = place.root == ABSOLUTE_ROOT
        above = path_text(folder if absolute else folder[len(place.folder) + 1 :])
        if above and not above.endswith("/"):
            above += "/"
        folders = _folders_below(folder, base if absolute else place.folder)
        if not folders:
            folders = [os.path.basename(folder) or b"/"]
        pack = vendor = path_text(folders[0])
        if self._vendor_level is not None:
            level = min(self._vendor_level, len(folders)) - 1
            vendor = path_text(folders[level])
        return Shelf(place.root, above, pack, vendor)


class Shelf(NamedTuple):
    """What all files right in one folder have in common: worked out once, not for each of them.

    Attributes
    ----------
    above : str
        What stands before a file's name in its path.
    """

    root: str
    above: str
    pack: str
    vendor: str

    def sound(
        self, name: bytes, status: os.stat_result | None, vendor: str | None = None
    ) -> FoundSound:
        """Return the file of this name as the ledger knows it; arguments as `Locator.sound`."""
        root, above, pack, usual = self
        size = mtime = None
        if status is not None:
            size, mtime = status.st_size, status.st_mtime_ns
            if not -_LATEST_NS <= mtime <= _LATEST_NS:
                mtime = mtime_ns(status)
        if vendor is None:
            vendor = usual
        return FoundSound(root, above + path_text(name), pack, vendor or pack, size, mtime)


def _folders_below(folder: bytes, base: bytes) -> list[bytes]:
    if not folder.startswith(base + b"/"):
        return []
    below = folder[len(base) + 1 :]
    return below.split(b"/") if below else []


def find(paths: Iterable[str | bytes], locator: Locator, ignored: Ignored) -> Iterator[FoundSound]:
    """Yield the sounds at and below `paths`.

    Parameters
    ----------
    paths : iterable of str or bytes
        Folders are walked; a file is taken whatever its name, for it was asked for. A path below
        another one is not walked twice.
    ignored : Ignored
        Counts what was passed over.

    Yields
    ------
    FoundSound
        In name order within each folder.

    Raises
    ------
    OutsideRootsError
        A path that no root holds.
    """
    resolved = {os.path.realpath(os.fsencode(path)) for path in paths}
    statuses = {path: _look_at(path) for path in resolved}
    folders = {path for path, status in statuses.items() if _is_folder(status)}
    # Asked for by name: taken even where a walk of the folder above would pass them over.
    named = resolved - folders
    for path in sorted(resolved):
        if path in named:
            yield locator.sound(locator.place(path), path, os.path.dirname(path), statuses[path])
        elif not any(path.startswith(other.rstrip(b"/") + b"/") for other in folders - {path}):
            yield from _walk(path, locator, ignored, named)


def _is_folder(status: os.stat_result | None) -> bool:
    return status is not None and stat.S_ISDIR(status.st_mode)


def _look_at(path: bytes) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


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
        # Asked anew for each folder: a root may lie within another one.
        shelf = locator.shelf(locator.place(folder), folder, base)
        below: list[bytes] = []
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name == b"__MACOSX":
                    ignored.counts["macOS leftovers"] += 1
                    continue
                below.append(entry.path)
                if is_named_like_a_sound(entry.name):
                    # Named like a sound: its owner will look for a row of that name.
                    yield shelf.sound(entry.name, None)
                continue
            if (named and entry.path in named) or _passed_over(entry, base, ignored):
                continue
            yield shelf.sound(entry.name, _status(entry))
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
