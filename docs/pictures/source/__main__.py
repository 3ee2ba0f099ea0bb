"""Make the pictures of the documentation: ``python -m docs.pictures.source [PART...]``."""

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


PARTS = {"terminal": make_terminal_pictures, "diagrams": make_diagrams}


def main() -> int:
    """Make the parts named on the command line, or all of them."""
    names = sys.argv[1:] or list(PARTS)
    if unknown := set(names) - set(PARTS):
        sys.stderr.write(f"no such part: {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}\n")
        return 2
    for name in names:
        PARTS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
