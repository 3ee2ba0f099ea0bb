"""What a walk leaves out whatever it holds: folders that are nobody's sounds, and patterns.

A pattern is a glob as of `fnmatch`, without regard to case. One with a slash in it is matched
against the path below the folder it was given for, any other against each name; one that ends in a
slash is for folders only.
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

#: A file of this name has a pattern a line, for its folder and all below it.
IGNORE_FILE: Final = b".cratesortignore"

_MAX_IGNORE_FILE_BYTES: Final = 64 * 1024

#: In lower case. Of network storage (Synology, QNAP, NetApp), of waste bins and file systems, of
#: macOS, and of programmers. Folders with a dot before their name are all passed over.
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
    """Return the kind of folder that a name tells to hold nobody's sounds, else None."""
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
    """Patterns that hold in one folder of a walk, and below it."""

    def __init__(
        self, patterns: Iterable[str], folder: bytes, above: "Exclusion | None" = None
    ) -> None:
        self._rules: tuple[_Rule, ...] = () if above is None else above._rules
        self._rules += tuple(_rule(pattern, folder) for pattern in patterns)

    @classmethod
    def of_walk(cls, patterns: Iterable[str], base: bytes) -> "Exclusion":
        """Return given patterns with those of the ignore files in the folders above `base`."""
        exclusion = cls(patterns, base)
        above = os.path.dirname(base)
        while above:
            with contextlib.suppress(OSError):  # none there, or none that can be read
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

        Raises OSError: it cannot be read, or is no text of at most 64 KiB.
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
            raise OSError(0, f"{IGNORE_FILE.decode()} is not a file")
        content = file.read(_MAX_IGNORE_FILE_BYTES + 1)
    if len(content) > _MAX_IGNORE_FILE_BYTES:
        raise OSError(0, f"{IGNORE_FILE.decode()} is larger than 64 KiB")
    lines = [line.strip() for line in path_text(content.removeprefix(BOM_UTF8)).splitlines()]
    if any(line.startswith("!") for line in lines):
        raise OSError(0, f"{IGNORE_FILE.decode()} has a pattern with !, which is not known here")
    return [line for line in lines if line and not line.startswith("#")]
