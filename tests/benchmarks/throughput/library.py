"""The files to classify: many names, few different sounds.

Hard links to small real sounds, in folders like packs, under generated names
(`training.prior.generation`), all different from each other and from existing files.
"""

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.places import REPOSITORY
from training.prior.generation import generate_folders
from training.prior.naming import load_naming

#: Real sounds of public packs, where they are at hand; else the example library.
_REAL: Final = REPOSITORY.parent / "shared" / "audio" / "library"
_EXTENSIONS: Final = (".wav", ".flac", ".mp3")
_LARGEST_BYTES: Final = 2**20

#: Files in a folder, in turn; a pack is five of them.
_FOLDER_SIZES: Final = (24, 60, 8, 120, 40, 200, 16, 80)
_FOLDERS_OF_A_PACK: Final = 5


def make_library(folder: Path, count: int) -> Path:
    """Make `count` files below `folder` and return the library's folder.

    The names are the same for the same count.
    """
    originals = _originals(folder / "originals")
    library = folder / "library"
    source = itertools.cycle(originals)
    for path in _paths(count):
        original = next(source)
        target = library / (path + original.suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                os.link(original, target)
                break
            except FileExistsError:
                target = target.with_stem(target.stem + "2")
    return library


def _originals(folder: Path) -> list[Path]:
    folder.mkdir(parents=True)
    real = _REAL
    if not real.exists():
        real = folder / "examples"
        make = [sys.executable, str(REPOSITORY / "examples" / "make_library.py"), str(real)]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
    found = [
        path
        for path in sorted(real.rglob("*"))
        if path.suffix in _EXTENSIONS and path.stat().st_size <= _LARGEST_BYTES
    ]
    copies = [folder / f"{number}{path.suffix}" for number, path in enumerate(found)]
    for path, copy in zip(found, copies, strict=True):
        shutil.copyfile(path, copy)
    return copies


def _paths(count: int) -> Iterator[str]:
    """Yield paths without their ending, folder after folder."""
    # Twelve categories, and a folder more than asked for now and then.
    names = generate_folders(load_naming(), count // 12 + 1, seed=1).names
    stems = iter([str(name).rpartition(".")[0] for name in names][:count])
    for number in itertools.count():
        pack, place = divmod(number, _FOLDERS_OF_A_PACK)
        of_folder = itertools.islice(stems, _FOLDER_SIZES[number % len(_FOLDER_SIZES)])
        stem = None
        for stem in of_folder:
            yield f"vendor {pack % 40}/pack {pack}/{place}/{stem.replace('/', ' ')}"
        if stem is None:
            return
