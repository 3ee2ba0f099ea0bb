"""Library roots: the folders whose sounds a host may read, by their names in the ledger."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

from classifier.files.paths import path_bytes, path_text, printable
from classifier.files.safe_open import open_beneath, open_folder_beneath, open_root
from workers.errors import LibraryRootAwayError
from workers.settings import PREFIX, ConfigurationError, Settings

#: Name of the root of absolute, resolved paths, where no roots are configured.
ABSOLUTE_ROOT: Final = ""

#: A descriptor, which the caller closes, and the file's or folder's status.
Opened: TypeAlias = tuple[int, os.stat_result]


@dataclass(frozen=True, slots=True)
class LibraryRoot:
    """A library root on this host."""

    name: str
    #: Absolute, without a trailing slash: empty for ``/``.
    folder: bytes

    @classmethod
    def named(cls, name: str, settings: Settings) -> "LibraryRoot":
        """Return the root of this name; raise ConfigurationError if this host does not know it."""
        if name in settings.library_roots:
            return cls(name, os.fsencode(settings.library_roots[name]).rstrip(b"/"))
        if name != ABSOLUTE_ROOT:
            raise ConfigurationError(
                f"the library root {name!r} is not configured on this host: "
                f"add {name}=/path/to/folder to {PREFIX}LIBRARY_ROOTS"
            )
        if not settings.reads_absolute_paths:
            raise ConfigurationError(
                "the sound was ingested without a library root; only a process without "
                f"{PREFIX}BROKER_URL and {PREFIX}LIBRARY_ROOTS can read it"
            )
        return ABSOLUTE

    @property
    def is_absolute(self) -> bool:
        """Whether the paths of its sounds are absolute."""
        return self.name == ABSOLUTE_ROOT

    def holds(self, resolved: bytes) -> bool:
        """Whether an absolute, resolved path is this folder or below it."""
        return resolved == self.folder or resolved.startswith(self.folder + b"/")

    def path_of(self, resolved: bytes) -> str:
        """Return an absolute path below this folder as the ledger stores it."""
        return path_text(resolved if self.is_absolute else resolved[len(self.folder) + 1 :])

    def fault(self, known: Collection[str]) -> str | None:
        """Return why this root looks like an unavailable mount; arguments as `mount_fault`."""
        return mount_fault(self.folder, known)

    def on_disk(self, path: str) -> bytes:
        """Return the absolute path of a sound: the inverse of `path_of`."""
        return os.path.join(self.folder or b"/", path_bytes(path))

    @contextmanager
    def opened(self) -> Iterator["OpenRoot"]:
        """Open the folder for the block, or raise LibraryRootAwayError."""
        folder = os.fsdecode(self.folder) or "/"
        try:
            fd = open_root(folder)
        except OSError as error:
            raise LibraryRootAwayError(
                f"the library root {self.name!r} ({folder}) cannot be opened: {error.strerror}"
            ) from error
        try:
            yield OpenRoot(self, fd)
        finally:
            os.close(fd)


ABSOLUTE: Final = LibraryRoot(ABSOLUTE_ROOT, b"")


@dataclass(frozen=True, slots=True)
class OpenRoot:
    """An open library root. Paths are as the ledger stores them."""

    root: LibraryRoot
    fd: int

    def open_file(self, path: str) -> Opened:
        """Open a file as `classifier.files.safe_open.open_beneath` does."""
        return open_beneath(self.fd, self._below(path), follow_links=self._follow_links)

    def open_folder(self, path: str) -> Opened:
        """Open a folder as `classifier.files.safe_open.open_folder_beneath` does."""
        return open_folder_beneath(self.fd, self._below(path), follow_links=self._follow_links)

    def _below(self, path: str) -> str:
        return path.removeprefix("/") if self.root.is_absolute else path

    @property
    def _follow_links(self) -> bool:
        # Absolute paths were resolved when they were enqueued; a link in one was put there since.
        return not self.root.is_absolute


def mount_fault(folder: bytes, known: Collection[str]) -> str | None:
    """Return why a folder of sounds looks like an unavailable mount; None when it does not.

    A mount is recognised by the names that the database knows. A marker file could not be written,
    because libraries are often mounted read-only; device and inode numbers differ between hosts.

    - `folder`: absolute, without a trailing slash.
    - `known`: names of files and folders that the database has directly below it. One that exists
      is enough. Without any, only a folder that is empty or cannot be listed is a fault.
    """
    shown = printable(path_text(folder)) or "/"
    try:
        with os.scandir(folder or b"/") as entries:
            is_empty = next(entries, None) is None
    except OSError as error:
        return f"{shown} cannot be listed: {error.strerror}"
    if is_empty:
        return f"{shown} is empty"
    if known and not any(_is_there(folder, name) for name in known):
        return (
            f"{shown} contains none of the files and folders known there, such as "
            f"{printable(next(iter(known)))}"
        )
    return None


def _is_there(folder: bytes, name: str) -> bool:
    try:
        return os.path.lexists(folder + b"/" + path_bytes(name))
    except ValueError:  # no name that a file can have
        return False
