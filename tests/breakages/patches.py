"""Reading the patches of this folder.

A patch starts with one sentence that says what it breaks, then a line ``Tests:`` with the tests
that must notice it, then a unified diff of one line of product code.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.places import REPOSITORY

FOLDER = Path(__file__).parent

PRODUCT = ("classifier", "db", "training", "workers", "tasks", "cli")

_TESTS = "Tests:"
_DIFF = "diff --git "
#: As `git diff` prints it, with or without its line of hashes.
_HEADER = re.compile(
    r"diff --git a/(\S+) b/\1\n(?:index .*\n)?--- a/\1\n\+\+\+ b/\1\n@@ [^\n]* @@.*\n(?:[ +-].*\n)+"
)


class PatchError(ValueError):
    """A patch that is not written as it should be; the message says what was expected."""


@dataclass(frozen=True)
class Breakage:
    """One patch.

    Attributes
    ----------
    name : str
    path : Path
        Of the patch.
    sentence : str
        What it breaks.
    tests : tuple of str
        Test files or node ids of pytest.
    file : str
        The product file that it changes, relative to the repository.
    removed, added : tuple of str
        Lines of that file, without and with the fault.
    """

    name: str
    path: Path
    sentence: str
    tests: tuple[str, ...]
    file: str
    removed: tuple[str, ...]
    added: tuple[str, ...]


def patch_files() -> list[Path]:
    """Return all patches of this folder in the order of their names."""
    return sorted(FOLDER.glob("*.patch"))


def read_patch(path: Path) -> Breakage:
    """Read a patch.

    Raises
    ------
    PatchError
        Its head is incomplete, or its diff is not of one line of one product file.
    """
    head, start, rest = path.read_text().partition(_DIFF)
    lines = [line for line in head.splitlines() if line]
    if not lines or lines[0].startswith(_TESTS) or not lines[0].endswith("."):
        raise PatchError(f"{path.name}: expected a first line that says in a sentence what breaks")
    tests = [test for line in lines[1:] for test in line.removeprefix(_TESTS).split()]
    if not tests or not all(line.startswith(_TESTS) for line in lines[1:]):
        raise PatchError(f"{path.name}: expected a line '{_TESTS} FILE[::TEST] ...' after it")
    header = _HEADER.fullmatch(start + rest)
    if header is None:
        raise PatchError(f"{path.name}: expected one hunk of one file, as `git diff` prints it")
    file = header[1]
    if file.partition("/")[0] not in PRODUCT:
        raise PatchError(f"{path.name}: {file} is no product code ({', '.join(PRODUCT)})")
    hunk = rest.partition("\n@@ ")[2].splitlines()[1:]
    removed = tuple(line[1:] for line in hunk if line.startswith("-"))
    added = tuple(line[1:] for line in hunk if line.startswith("+"))
    if max(len(removed), len(added)) != 1:
        raise PatchError(
            f"{path.name}: expected one line removed, one added, or one replaced; "
            f"it removes {len(removed)} and adds {len(added)}"
        )
    return Breakage(path.stem, path, lines[0], tuple(tests), file, removed, added)


def how_to_renew(path: Path, file: str) -> str:
    """Return what to do about a patch whose line has changed."""
    shown = path.relative_to(REPOSITORY)
    return (
        f"{shown} does not apply: {file} has changed at that place. To renew it: break {file} in "
        f"the same way, replace the diff in the patch by the output of `git diff {file}` (keep the "
        f"lines above it), then `git checkout {file}`. If the code it breaks is gone, delete it."
    )
