"""Make the pictures of the documentation: ``python -m docs.pictures.source [PART...]``."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from docs.pictures.source.diagram import diagram
from docs.pictures.source.scenes import HOMES, play, temporary_home
from docs.pictures.source.terminal import REPOSITORY, write

SOURCES = Path(__file__).parent
PICTURES = SOURCES.parent


def make_terminal_pictures() -> None:
    """Draw what the commands print."""
    with tempfile.TemporaryDirectory() as library:
        make_library = [sys.executable, REPOSITORY / "examples" / "make_library.py", library]
        subprocess.run(make_library, check=True, stdout=subprocess.DEVNULL)
        for fill, scenes in HOMES:
            with temporary_home() as home:
                fill(Path(library), home)
                for scene in scenes:
                    write(PICTURES / f"{scene.name}.svg", play(scene, home))


def make_diagrams() -> None:
    """Draw the diagrams from their text."""
    for source in sorted(SOURCES.glob("*.toml")):
        write(PICTURES / f"{source.stem}.svg", diagram(source))


def make_fleet_pictures() -> None:
    """Photograph a fleet at work: some minutes. What cannot be made is left as it is."""
    from docs.pictures.source import fleet

    for outcome in fleet.make_fleet_pictures(PICTURES):
        sys.stdout.write(f"{outcome}\n")


def make_study_figures() -> None:
    """Compare the systems on the table CORPUS, and keep four of the figures."""
    if not (corpus := os.environ.get("CORPUS")):
        sys.exit(
            "the figures of a study need a table: make pictures PART=study CORPUS=table.csv.gz"
        )
    with tempfile.TemporaryDirectory() as report:
        study = [sys.executable, "-m", "cli", "study", "--from-csv", corpus, "--report", report]
        subprocess.run([*study, "--reference-batch-size", "32"], check=True)
        for figure in STUDY_FIGURES:
            shutil.copyfile(Path(report, f"{figure}.png"), PICTURES / f"study-{figure}.png")
            sys.stdout.write(f"written    study-{figure}.png\n")


STUDY_FIGURES = (
    "by-vendor-systems",
    "random-systems",
    "by-vendor-confusion-cratesort",
    "by-vendor-reliability",
)
#: The first two are quick and differ only with the product, so they are the default.
PARTS = {
    "terminal": make_terminal_pictures,
    "diagrams": make_diagrams,
    "fleet": make_fleet_pictures,
    "study": make_study_figures,
}


def main() -> int:
    """Make the parts named on the command line."""
    names = sys.argv[1:] or ["terminal", "diagrams"]
    if unknown := set(names) - set(PARTS):
        sys.stderr.write(f"no such part: {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}\n")
        return 2
    for name in names:
        PARTS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
