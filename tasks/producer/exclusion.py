"""What a walk skips: system and hidden folders, and everything that matches a pattern.

A pattern is an `fnmatch` glob and ignores case. A pattern with a slash within it is matched against
the path below the folder it was given for; any other pattern is matched against each name. A
pattern that ends in a slash matches folders only.
"""

import contextlib
import fnmatch
import os
import re
import stat
from codecs import BOM_UTF8
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from classifier.files.paths import path_text

#: A file of this name has one pattern a line, for its folder and everything below it.
IGNORE_FILE: Final = b".cratesortignore"

_MAX_IGNORE_FILE_BYTES: Final = 64 * 1024

#: Folder names in lower case: of network storage (Synology, QNAP, NetApp), recycle bins, file
#: systems, macOS and programming tools. Folders whose names start with a dot are always skipped.
_NO_SOUNDS: Final = frozenset(
    {
        "@eadir",
        "@recently-snapshot",
        "@recycle",
        "@sharebin",
        "@tmp",
        "#recycle",
        "#snapshot",
        "~snapshot",
        "$recycle.bin",
        "__macosx",
        "__pycache__",
        "@__thumb",
        "found.000",
        "lost+found",
        "network trash folder",
        "node_modules",
        "system volume information",
        "temporary items",
        "thevolumesettingsfolder",
    }
)


def kind_of_no_sounds(name: bytes) -> str | None:
    """Return the kind of a folder that is skipped because of its name, else None."""
    folded = path_text(name).lower()
    if folded == "__macosx":
        return "macOS leftovers"
    if folded in _NO_SOUNDS:
        return f"{path_text(name)}/"
    return "hidden folders" if folded.startswith(".") else None


@dataclass(frozen=True, slots=True)
class _Rule:
    folder: bytes
    matches: re.Pattern[str]
    is_of_path: bool
    folders_only: bool


class Exclusion:
    """The patterns that apply in one folder of a walk, and below it."""

    def __init__(
        self, patterns: Iterable[str], folder: bytes, above: "Exclusion | None" = None
    ) -> None:
        self._rules: tuple[_Rule, ...] = () if above is None else above._rules
        self._rules += tuple(_rule(pattern, folder) for pattern in patterns)

    @classmethod
    def of_walk(cls, patterns: Iterable[str], base: bytes) -> "Exclusion":
        """Return the given patterns and those of the ignore files in the folders above `base`."""
        exclusion = cls(patterns, base)
        above = os.path.dirname(base)
        while above:
            with contextlib.suppress(OSError):  # there is none, or it cannot be read
                exclusion = exclusion.with_ignore_file(above)
            above = os.path.dirname(above) if above != b"/" else b""
        return exclusion

    def excludes(self, path: bytes, name: bytes, *, is_folder: bool) -> bool:
        """Whether a pattern matches an entry of the folder."""
        return any(
            (is_folder or not rule.folders_only)
            and rule.matches.match(
                path_text(path[len(rule.folder) + 1 :] if rule.is_of_path else name).lower()
            )
            for rule in self._rules
        )

    def with_ignore_file(self, folder: bytes) -> "Exclusion":
        """Return the patterns with those of the folder's own `IGNORE_FILE` added.

        Raises OSError: the file cannot be read, is no regular file, is larger than 64 KiB, or has
        a pattern with ``!``.
        """
        return Exclusion(_lines(os.path.join(folder, IGNORE_FILE)), folder, self)


def _rule(pattern: str, folder: bytes) -> _Rule:
    glob = pattern.strip("/").lower()
    return _Rule(
        folder,
        re.compile(fnmatch.translate(glob)),
        is_of_path="/" in pattern.rstrip("/"),
        folders_only=pattern.endswith("/"),
    )


def _lines(path: bytes) -> list[str]:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(0, f"{IGNORE_FILE.decode()} is not a regular file")
        content = file.read(_MAX_IGNORE_FILE_BYTES + 1)
    if len(content) > _MAX_IGNORE_FILE_BYTES:
        raise OSError(0, f"{IGNORE_FILE.decode()} is larger than 64 KiB")
    lines = [line.strip() for line in path_text(content.removeprefix(BOM_UTF8)).splitlines()]
    if any(line.startswith("!") for line in lines):
        raise OSError(0, f"{IGNORE_FILE.decode()} has a pattern with !, which is not supported")
    return [line for line in lines if line and not line.startswith("#")]
