"""Library roots: the folders that a host may read sounds below, by the names the ledger keeps."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

from classifier.files.paths import path_text
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
                f"the ledger names the library root {name!r}, which this host does not know: "
                f"add {name}=/its/folder to {PREFIX}LIBRARY_ROOTS"
            )
        if settings.library_roots or not settings.in_process:
            raise ConfigurationError(
                "the ledger names a path without a library root, which only a process without "
                "a broker and without CRATESORT_LIBRARY_ROOTS reads"
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
        """Return an absolute path below this folder as the ledger keeps it."""
        return path_text(resolved if self.is_absolute else resolved[len(self.folder) + 1 :])

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
    """An open library root. Paths are as the ledger keeps them."""

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
