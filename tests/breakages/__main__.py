"""Shows that the suite notices real faults: breaks one line at a time, and a test must fail.

``python -m tests.breakages [NAME ...]``: each patch of this folder is applied to a copy of the
tree, its tests run there, and pytest must report a failed test. Exit code 0 when all were caught.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from tests.breakages.forking import DID_NOT_END
from tests.breakages.patches import (
    PRODUCT,
    Breakage,
    PatchError,
    how_to_renew,
    patch_files,
    read_patch,
)
from tests.support.places import REPOSITORY, SHARED

_OPTIONS = ("-q", "-rfEs", "--tb=short", "-p", "no:randomly", "-p", "no:cacheprovider")
#: A test that hangs is ended by pytest-timeout; the second is for what that cannot end.
_TEST_SECONDS, _RUN_SECONDS = 60, 300

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


class Tested(NamedTuple):
    """How a run of pytest ended: its exit code and what it printed."""

    code: int
    output: str

    @property
    def last_line(self) -> str:
        """What pytest says at its end."""
        return self.output.strip().rpartition("\n")[2].strip("= ")


class Copy:
    """A copy of the tree in which the breakages are made, and a process that runs pytest there.

    Parameters
    ----------
    folder : Path
        Empty, without links in its path. The tree goes into a folder below it.
    """

    def __init__(self, folder: Path) -> None:
        self._tree = folder / "cratesort"
        self._output = folder / "output"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        kept.pop("PYTEST_ADDOPTS", None)
        self._environment = {
            **kept,
            # The copy wins over an installed cratesort, in child processes too.
            "PYTHONPATH": str(self._tree),
            "TEST_SHARED": str(SHARED),
            # git must not take the copy for a part of a repository above it.
            "GIT_CEILING_DIRECTORIES": str(folder),
        }
        self._fill()
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.breakages.forking"],
            cwd=self._tree,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Copy":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.communicate()  # it ends with its input

    def _fill(self) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=REPOSITORY,
            capture_output=True,
            check=True,
        ).stdout
        for name in filter(None, listed.decode().split("\0")):
            source, target = REPOSITORY / name, self._tree / name
            if source.is_file():  # not deleted since the last commit
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
        # Checked by content: a breakage of the same length within the same second would otherwise
        # run from the bytecode of the unbroken line.
        self._run(
            sys.executable, "-m", "compileall", "-q", "--invalidation-mode=checked-hash", *PRODUCT
        ).check_returncode()
        imported = self._run(sys.executable, "-c", "import cli; print(cli.__file__)").stdout
        if not imported.startswith(str(self._tree)):
            raise RuntimeError(f"expected cli to be imported from {self._tree}, got {imported}")

    def _run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=self._tree,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def test(self, *arguments: str, seconds: float) -> Tested:
        """Run pytest in the copy, for at most so long."""
        options = [*_OPTIONS, f"--timeout={_TEST_SECONDS}", *arguments]
        request = {"arguments": options, "output": str(self._output), "seconds": seconds}
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(request), file=self._server.stdin, flush=True)
        answer = self._server.stdout.readline()
        if not answer:
            raise RuntimeError("the process that runs pytest in the copy has ended")
        return Tested(int(answer), self._output.read_text(errors="replace"))

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
        tested = copy.test("-x", *breakage.tests, seconds=_RUN_SECONDS)
    finally:
        copy.restore(breakage)
    seconds = time.monotonic() - began
    failed = _FAILED.search(tested.output)
    if tested.code == _TESTS_FAILED and failed:
        return Outcome(CAUGHT, failed[1], seconds)
    if tested.code == DID_NOT_END:
        return Outcome(NOT_CAUGHT, f"its tests did not end within {_RUN_SECONDS} s", seconds)
    return Outcome(NOT_CAUGHT, f"pytest exit code {tested.code}: {tested.last_line}", seconds)


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
    green = copy.test(*tests, seconds=4 * _RUN_SECONDS)
    print(f"unbroken: {green.last_line}; in all {time.monotonic() - began:.0f} s", flush=True)
    if green.code:
        print(green.output, file=sys.stderr)
        print("the tests must pass before anything is broken", file=sys.stderr)
    return green.code == 0


def main() -> int:
    """Try all breakages, or those that are named, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.breakages", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="without .patch; default: all")
    try:
        breakages = _chosen(parser.parse_args().names)
    except PatchError as error:
        print(error, file=sys.stderr)
        return 2
    if not (REPOSITORY / ".git").exists():
        print("this needs a git checkout: it copies the files that git lists", file=sys.stderr)
        return 2
    began = time.monotonic()
    width = max(len(breakage.name) for breakage in breakages)
    counts = dict.fromkeys((CAUGHT, NOT_CAUGHT, STALE), 0)
    with (
        tempfile.TemporaryDirectory(prefix="breakages-") as folder,
        Copy(Path(folder).resolve()) as copy,
    ):
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
