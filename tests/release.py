"""Check the packages to be published: ``make release-check``.

Builds the source distribution from the files tracked by git and the wheel from the source
distribution, checks the content of both, installs the wheel into a new environment, and classifies
the example library with it outside the repository.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.support.command_line import clean_environment
from tests.support.places import REPOSITORY

DIST: Final = REPOSITORY / ".cratesort" / "dist"

#: All top-level names of a wheel except its metadata.
PACKAGES: Final = frozenset({"classifier", "cli", "db", "tasks", "training", "workers"})

#: Files other than Python modules that a wheel needs.
DATA_FILES: Final = (
    "classifier/names/instruments.toml",
    "classifier/starter/starter.zip",
    "classifier/starter/MODEL_CARD.md",
    "db/migrations/script.py.mako",
    "training/baselines/keywords.toml",
    "training/prior/naming.toml",
    "training/prior/prior.npz",
)


class ReleaseError(Exception):
    """A package is not as it should be."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tag", help="the tag to be released, like v1.2.3")
    tag = parser.parse_args().tag
    version = _version()
    if tag is not None:
        _check_tag(tag, version)
    with TemporaryDirectory(prefix="cratesort-release-") as name:
        folder = Path(name)
        sdist, wheel = _build(folder)
        _check_sdist(sdist)
        _check_wheel(wheel)
        _try(wheel, version, folder)
        _keep(sdist, wheel)
    print(f"release check passed; both archives are in {DIST}")


def _version() -> str:
    with open(REPOSITORY / "pyproject.toml", "rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def _check_tag(tag: str, version: str) -> None:
    if tag != f"v{version}":
        raise ReleaseError(f"the tag is {tag}; pyproject.toml has version {version}")
    if f"\n## [{version}] - " not in (REPOSITORY / "CHANGELOG.md").read_text():
        raise ReleaseError(f"CHANGELOG.md has no section [{version}] with a date")


def _keep(*archives: Path) -> None:
    """Copy the checked archives to `DIST`, from where they are published."""
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir(parents=True)
    for archive in archives:
        shutil.copy2(archive, DIST)


def _build(folder: Path) -> tuple[Path, Path]:
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, capture_output=True
    ).stdout
    for path in filter(None, tracked.decode().split("\0")):
        target = folder / "source" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / path, target)
    python = _environment(folder / "building", "build")
    # Building the wheel from the source distribution shows that the latter is complete.
    _run([python, "-m", "build", "--outdir", folder / "dist", folder / "source"], folder)
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    print(f"built {sdist.name} ({_kib(sdist)}) and {wheel.name} ({_kib(wheel)})")
    return sdist, wheel


def _check_sdist(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    _require_all(sdist, names, (*DATA_FILES, "LICENSE", "README.md", "pyproject.toml"))


def _check_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    _require_all(wheel, names, DATA_FILES)
    tops = {name.partition("/")[0] for name in names}
    (metadata,) = (top for top in tops if top.endswith(".dist-info"))
    if tops - {metadata} != PACKAGES:
        raise ReleaseError(f"{wheel.name} contains {sorted(tops)}; expected {sorted(PACKAGES)}")
    _require_all(wheel, names, (f"{metadata}/licenses/LICENSE",))
    stray = sorted(name for name in names if "__pycache__" in name or name.endswith(".pyc"))
    if stray:
        raise ReleaseError(f"{wheel.name} contains byte code: {stray[0]}")
    maintainers = sorted(name for name in names if name.startswith("training/maintainer/"))
    if maintainers:
        raise ReleaseError(f"{wheel.name} contains a tool for maintainers: {maintainers[0]}")


def _try(wheel: Path, version: str, folder: Path) -> None:
    """Install the wheel in a new environment and use it."""
    home = folder / "home"
    home.mkdir()
    python = _environment(home / "venv", str(wheel))
    command = python.parent / "cratesort"
    stated = _run([command, "--version"], home).strip()
    if not stated.endswith(version):
        raise ReleaseError(f"--version prints {stated!r}; pyproject.toml has {version}")
    _run([sys.executable, REPOSITORY / "examples" / "make_library.py", home / "library"], home)
    done = json.loads(_run([command, "ingest", "--json", home / "library"], home))
    if done["failed"] or not done["classified"] or done["classified"] != done["found"]:
        raise ReleaseError(f"the example library was not classified: {done}")
    rows = _run([command, "results", "--format", "json"], home).splitlines()
    if len(rows) != done["classified"]:
        raise ReleaseError(f"{done['classified']} sounds were classified, {len(rows)} have a row")
    _run([command, "doctor"], home)
    print(f"{stated}: {len(rows)} sounds classified from outside the repository")


def _environment(folder: Path, *packages: str) -> Path:
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    constraints = ["-c", REPOSITORY / "constraints.txt"]
    _run([python, "-m", "pip", "install", "-qq", *constraints, *packages], folder, clean=False)
    return python


def _run(command: list[str | Path], folder: Path, *, clean: bool = True) -> str:
    environment = clean_environment(folder, {})
    del environment["PYTHONPATH"]  # the repository would hide the installed package
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment if clean else None,  # pip reads its index from the user's configuration
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        shown = " ".join(map(str, command))
        raise ReleaseError(f"exit code {done.returncode}: {shown}\n{done.stdout}{done.stderr}")
    return done.stdout


def _require_all(archive: Path, names: set[str], needed: tuple[str, ...]) -> None:
    missing = sorted(set(needed) - names)
    if missing:
        raise ReleaseError(f"{archive.name} lacks {', '.join(missing)}")


def _kib(path: Path) -> str:
    return f"{path.stat().st_size / 1024:,.0f} KiB"


if __name__ == "__main__":
    try:
        main()
    except ReleaseError as error:
        sys.exit(f"release check failed: {error}")
