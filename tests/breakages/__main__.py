"""Shows that the suite notices real faults: breaks one line at a time, and a test must fail.

``python -m tests.breakages [NAME ...]``: each patch of this folder is applied to a copy of the
tree, its tests run there, and pytest must report a failed test. Exit code 0 when all were caught.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.breakages.patches import (
    PRODUCT,
    Breakage,
    PatchError,
    how_to_renew,
    patch_files,
    read_patch,
)
from tests.support.places import REPOSITORY, SHARED

_PYTEST = (sys.executable, "-m", "pytest", "-q", "-rfEs", "-p", "no:randomly")
_NO_CACHE = ("-p", "no:cacheprovider", "--timeout=60")
#: A test that hangs is ended by pytest-timeout; this is for what that cannot end.
_LONGEST_SECONDS = 300.0

_TESTS_FAILED = 1  # pytest's exit code; 2 to 5 are no failures of tests
_FAILED = re.compile(r"^FAILED (.+?)(?: - .*)?$", re.MULTILINE)

CAUGHT, NOT_CAUGHT, STALE = "caught", "NOT CAUGHT", "does not apply"


class Outcome(NamedTuple):
    """What became of one breakage.

    Attributes
    ----------
    result : str
    detail : str
        The test that failed, or why it counts as not caught.
    seconds : float
    """

    result: str
    detail: str
    seconds: float


class Copy:
    """A copy of the tree in which the breakages are made.

    Parameters
    ----------
    folder : Path
        Empty.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        kept.pop("PYTEST_ADDOPTS", None)
        self._environment = {
            **kept,
            # The copy wins over an installed cratesort, in child processes too.
            "PYTHONPATH": str(folder),
            "CRATESORT_SHARED": str(SHARED),
            # git must not take the copy for a part of a repository above it.
            "GIT_CEILING_DIRECTORIES": str(folder.parent),
        }
        self._fill()

    def _fill(self) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=REPOSITORY,
            capture_output=True,
            check=True,
        ).stdout
        for name in filter(None, listed.decode().split("\0")):
            source, target = REPOSITORY / name, self._folder / name
            if source.is_file():  # not deleted since the last commit
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
        # Checked by content: a breakage of the same length within the same second would otherwise
        # run from the bytecode of the unbroken line.
        self._run(
            sys.executable, "-m", "compileall", "-q", "--invalidation-mode=checked-hash", *PRODUCT
        ).check_returncode()
        imported = self._run(sys.executable, "-c", "import cli; print(cli.__file__)").stdout
        if not imported.startswith(str(self._folder)):
            raise RuntimeError(f"expected cli to be imported from {self._folder}, got {imported}")

    def _run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_LONGEST_SECONDS,
        )

    def test(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run pytest in the copy."""
        return self._run(*_PYTEST, *_NO_CACHE, *arguments)

    def applies(self, breakage: Breakage) -> bool:
        """Break the copy; return whether the patch applied."""
        return self._run("git", "apply", str(breakage.path)).returncode == 0

    def restore(self, breakage: Breakage) -> None:
        """Take a breakage back."""
        self._run("git", "apply", "--reverse", str(breakage.path)).check_returncode()


def outcome_of(breakage: Breakage, copy: Copy) -> Outcome:
    """Break the copy, run the tests that must notice it, and put the copy right again."""
    began = time.monotonic()
    if not copy.applies(breakage):
        return Outcome(STALE, how_to_renew(breakage.path, breakage.file), 0.0)
    try:
        tested = copy.test("-x", *breakage.tests)
    except subprocess.TimeoutExpired:
        return Outcome(NOT_CAUGHT, "its tests did not end", time.monotonic() - began)
    finally:
        copy.restore(breakage)
    seconds = time.monotonic() - began
    failed = _FAILED.search(tested.stdout)
    if tested.returncode == _TESTS_FAILED and failed:
        return Outcome(CAUGHT, failed[1], seconds)
    last = tested.stdout.strip().rpartition("\n")[2].strip("= ")
    return Outcome(NOT_CAUGHT, f"pytest exit code {tested.returncode}: {last}", seconds)


def _chosen(names: list[str]) -> list[Breakage]:
    files = {path.stem: path for path in patch_files()}
    unknown = [name for name in names if name not in files]
    if unknown:
        raise PatchError(f"no such breakage: {', '.join(unknown)}; there are {', '.join(files)}")
    return [read_patch(files[name]) for name in names or files]


def _require_green(copy: Copy, breakages: list[Breakage]) -> bool:
    """Whether all named tests pass while nothing is broken."""
    tests = sorted({test for breakage in breakages for test in breakage.tests})
    began = time.monotonic()
    green = copy.test(*tests)
    last = green.stdout.strip().rpartition("\n")[2].strip("= ")
    print(f"unbroken: {last} (in all {time.monotonic() - began:.0f} s)", flush=True)
    if green.returncode:
        print(green.stdout, file=sys.stderr)
        print("the tests must pass before anything is broken", file=sys.stderr)
    return green.returncode == 0


def main() -> int:
    """Try all breakages, or those that are named, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.breakages", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="without .patch; default: all")
    try:
        breakages = _chosen(parser.parse_args().names)
    except PatchError as error:
        print(error, file=sys.stderr)
        return 2
    began = time.monotonic()
    width = max(len(breakage.name) for breakage in breakages)
    counts = dict.fromkeys((CAUGHT, NOT_CAUGHT, STALE), 0)
    with tempfile.TemporaryDirectory(prefix="breakages-") as folder:
        copy = Copy(Path(folder).resolve())
        if not _require_green(copy, breakages):
            return 1
        for breakage in breakages:
            result, detail, seconds = outcome_of(breakage, copy)
            counts[result] += 1
            print(f"{breakage.name:<{width}}  {result:<14} {seconds:5.1f} s  {detail}", flush=True)
    print(
        f"{counts[CAUGHT]} of {len(breakages)} breakages caught, {counts[NOT_CAUGHT]} not caught, "
        f"{counts[STALE]} do not apply; {time.monotonic() - began:.0f} s"
    )
    return 0 if counts[CAUGHT] == len(breakages) else 1


if __name__ == "__main__":
    sys.exit(main())
