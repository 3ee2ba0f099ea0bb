"""Where a path belongs: the library root, relative path, pack and vendor of each file."""

import os
from collections.abc import Callable
from itertools import chain, count
from operator import attrgetter
from typing import Final, NamedTuple

from classifier.errors import CratesortError
from classifier.files.paths import LONGEST_NAME, path_text, printable
from classifier.files.safe_open import mtime_ns
from db.results.folders import Folder, folder_of
from workers.library_roots import ABSOLUTE, LibraryRoot
from workers.settings import Settings

#: No operating system accepts a longer path (Linux: PATH_MAX).
LONGEST_PATH_BYTES: Final = 4096


class OutsideRootsError(CratesortError):
    """A path that is in no configured library root."""


class FoundSound(NamedTuple):
    """A file to be classified.

    - `file_size_bytes`, `mtime_ns`: None if the file's status could not be read (a worker records
      the error), and for a link that a walk found.
    - `is_there`: False if nothing exists at the path, not even a broken link.
    """

    root: str
    path: str
    pack: str
    vendor: str
    file_size_bytes: int | None
    mtime_ns: int | None
    is_there: bool = True


#: The key by which found sounds are grouped: a batch has sounds of one root.
root_of: Final = attrgetter("root")


#: As on Linux; further links in one path are not resolved.
_MOST_LINKS: Final = 40


def real_path(path: bytes) -> bytes:
    """Return an absolute path with its links resolved; no path raises an error.

    A link that cannot be read stays in the path; opening the file then raises the error. Not
    `os.path.realpath`: it raises PermissionError for ``/proc/1/cwd``, OSError for a folder that was
    just replaced by a link, and RecursionError for a long chain of links.
    """
    waiting = _parts(path if path.startswith(b"/") else os.path.join(os.getcwdb(), path))
    resolved = b""
    links = 0
    while waiting:
        name = waiting.pop()
        if name == b"..":
            resolved = resolved.rpartition(b"/")[0]
        elif target := _link_target(resolved + b"/" + name) if links < _MOST_LINKS else b"":
            links += 1
            waiting += _parts(target)
            if target.startswith(b"/"):
                resolved = b""
        else:
            resolved += b"/" + name
    return resolved or b"/"


def _parts(path: bytes) -> list[bytes]:
    """Return the names in a path, the last one first."""
    return [name for name in reversed(path.split(b"/")) if name not in (b"", b".")]


def _link_target(path: bytes) -> bytes:
    """Return a link's target; empty for anything else, and for a link that cannot be read."""
    try:
        return os.readlink(path)
    except OSError:
        return b""


def target_of(path: bytes) -> bytes:
    """Return the resolved path of a file or folder; for a broken link, the link's own path."""
    target = real_path(path)
    if os.path.lexists(target):
        return target
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(real_path(folder), name)


class Locator:
    """Determines the root, path, pack and vendor of files."""

    def __init__(self, settings: Settings) -> None:
        self._vendor_level = settings.vendor_level
        self._roots = [
            LibraryRoot(name, real_path(os.fsencode(folder)).rstrip(b"/"))
            for name, folder in settings.library_roots.items()
        ]
        #: Whether paths are absolute and resolved: in one process without library roots.
        self.absolute = settings.in_process and not settings.library_roots
        # The longest path first: one root may lie within another.
        self._roots.sort(key=lambda root: -len(root.folder))

    def resolve(self, path: bytes, real_folder: Callable[[bytes], bytes] = real_path) -> bytes:
        """Return the absolute path under which a file gets its row.

        - `real_folder`: `real_path`, or one with a cache.
        """
        folder, name = os.path.split(os.path.abspath(path))
        resolved = os.path.join(real_folder(folder), name)
        # Within roots a link keeps its own name: the worker checks whether its target is inside.
        if self.absolute and os.path.islink(resolved):
            return target_of(resolved)
        return resolved

    def below(self, root: str, path: bytes) -> bytes:
        """Return the absolute path of a file in the root of this name.

        - `path`: relative to the root's folder, or absolute and within it.

        Raises OutsideRootsError: this host does not know the root, or the path leads out of it.
        """
        known_root = self.known_root(root)
        if known_root is None:
            known = ", ".join(sorted(root.name for root in self._roots)) or "none"
            raise OutsideRootsError(
                f"the library root {root[:64]!r} is not configured on this host (configured: "
                f"{known}): add NAME=/path/to/folder to CRATESORT_LIBRARY_ROOTS"
            )
        folder = known_root.folder
        resolved = self.resolve(os.path.join(folder or b"/", path))
        if not resolved.startswith(folder + b"/"):
            shown = printable(path_text(path))
            raise OutsideRootsError(f"{shown} is outside of the library root {root!r}")
        return resolved

    def library_root(self, resolved: bytes) -> LibraryRoot:
        """Return the library root of a resolved absolute path.

        Raises OutsideRootsError: the path is in none; the message has the setting that allows it.
        """
        for root in self._roots:
            if root.holds(resolved):
                return root
        if self.absolute:
            return ABSOLUTE
        folder = os.path.dirname(resolved) if not os.path.isdir(resolved) else resolved
        shown = printable(path_text(folder))
        more = "".join(f"{root.name}={os.fsdecode(root.folder)}," for root in self._roots)
        taken = {root.name for root in self._roots}
        names = chain(["library"], (f"library{number}" for number in count(2)))
        name = next(name for name in names if name not in taken)
        raise OutsideRootsError(
            f"{printable(path_text(resolved))} is in no library root, so other hosts could not "
            f"find it. To allow it, set CRATESORT_LIBRARY_ROOTS={more}{name}={shown}"
        )

    def parts_of(self, folder: bytes) -> dict[bytes, Folder]:
        """Return a resolved folder and the roots within it, each as rows of its sounds store it."""
        root = self.library_root(folder)
        parts = {folder: folder_of(root.name, root.path_of(folder))}
        for other in self._roots:
            if other.folder.startswith(folder.rstrip(b"/") + b"/"):
                parts[other.folder] = folder_of(other.name, "")
        return parts

    def known_root(self, name: str) -> LibraryRoot | None:
        """Return the root of this name; None where this host does not know it."""
        roots = [*self._roots, *([ABSOLUTE] if self.absolute else [])]
        return next((root for root in roots if root.name == name), None)

    def sound(self, root: LibraryRoot, resolved: bytes, vendor: str | None = None) -> FoundSound:
        """Return the sound at a resolved path; `vendor` as for `FolderLocation.sound`."""
        folder, name = os.path.split(resolved)
        status, is_there = None, True
        try:
            status = os.stat(resolved)
        except OSError as error:
            from workers.faults import STORAGE_ERRNOS  # loads clients of Redis

            is_there = error.errno in STORAGE_ERRNOS or os.path.lexists(resolved)
        sound = self.folder_location(root, folder, folder).sound(name, status, vendor)
        return sound._replace(is_there=is_there)

    def folder_location(self, root: LibraryRoot, folder: bytes, base: bytes) -> "FolderLocation":
        """Return the root, pack and vendor of all files directly in a folder.

        - `root`: from `library_root`.
        - `folder`: absolute.
        - `base`: the folder that is walked; without library roots, its subfolders are the packs.
        """
        prefix = root.path_of(folder)
        if prefix and not prefix.endswith("/"):
            prefix += "/"
        top = (base if root.is_absolute else root.folder) + b"/"
        below = folder[len(top) :] if folder.startswith(top) else b""
        folders = below.split(b"/") if below else [os.path.basename(folder) or b"/"]
        pack = vendor = path_text(folders[0])[:LONGEST_NAME]
        if self._vendor_level is not None:
            level = min(self._vendor_level, len(folders)) - 1
            vendor = path_text(folders[level])[:LONGEST_NAME]
        return FolderLocation(root.name, prefix, pack, vendor)


class FolderLocation(NamedTuple):
    """What all files directly in one folder have in common, computed once.

    - `prefix`: the part of their paths before the name.
    """

    root: str
    prefix: str
    pack: str
    vendor: str

    def sound(
        self, name: bytes, status: os.stat_result | None, vendor: str | None = None
    ) -> FoundSound:
        """Return the sound of this name in the folder.

        - `status`: None if it could not be read, and for a link.
        - `vendor`: from a manifest; takes precedence over the folder's.
        """
        root, prefix, pack, folder_vendor = self
        return FoundSound(
            root,
            prefix + path_text(name),
            pack,
            (folder_vendor if vendor is None else vendor) or pack,
            None if status is None else status.st_size,
            None if status is None else mtime_ns(status),
        )
