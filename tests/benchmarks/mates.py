"""Cost of using pack mates: ``python -m tests.benchmarks.mates``.

In one process: the starter in the default engine with batches of 256, for names alone and for names
with their mates; and listing the folders, uncached and cached. Uses folders of 20 empty files with
generated names; every file is predicted once, so each folder is read once. Prints microseconds per
file, the best of five rounds, to exclude other load of the machine.

Reading headers and the database are not included.
"""

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from classifier.bundle.load import load_starter
from classifier.names.pack_mates import pack_mates_of
from workers.library_roots import LibraryRoot
from workers.reading.folder_cache import FolderCache

FOLDERS, FILES = 200, 20
BATCH = 256
ROUNDS = 5
WORDS = ("kick", "snare", "pad", "vox", "riser", "bass", "loop", "guitar", "dark", "wide")


def _names(folder: int) -> list[str]:
    words = (WORDS[folder % len(WORDS)], WORDS[folder // len(WORDS) % len(WORDS)])
    return [f"XY{folder}_{'_'.join(words)}_{place:02}.wav" for place in range(FILES)]


def _microseconds(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return 1e6 * best / (FOLDERS * FILES)


def main() -> None:
    names = [_names(folder) for folder in range(FOLDERS)]
    flat = [name for folder in names for name in folder]
    paths = [f"{number}/{name}" for number, folder in enumerate(names) for name in folder]
    headers = np.full((len(flat), 6), np.nan, dtype=np.float32)

    # A fresh one for each round: nothing is remembered of any folder.
    fresh = iter([load_starter() for _ in range(2 * ROUNDS)])
    of_folder = [mates for folder in names for mates in [pack_mates_of(folder)] * FILES]

    def ask(*, with_mates: bool) -> None:
        mates, classifier = of_folder if with_mates else None, next(fresh)
        for start in range(0, len(flat), BATCH):
            rows = slice(start, start + BATCH)
            classifier.predict_detailed(flat[rows], headers[rows], mates[rows] if mates else None)

    alone = _microseconds(lambda: ask(with_mates=False))
    beside = _microseconds(lambda: ask(with_mates=True))
    with tempfile.TemporaryDirectory() as root, ExitStack() as exit_stack:
        for path in paths:
            (Path(root) / path).parent.mkdir(exist_ok=True)
            (Path(root) / path).touch()
        time.sleep(2.1)  # a folder that changed just now is not remembered
        known = FolderCache(most=FOLDERS)
        opened = exit_stack.enter_context(LibraryRoot("library", os.fsencode(root)).opened())

        def list_with(folders: FolderCache) -> None:
            folders.pack_mates(opened, paths, folder_words=True)

        first = _microseconds(lambda: list_with(FolderCache(most=FOLDERS)))
        list_with(known)
        again = _microseconds(lambda: list_with(known))
    print(f"classifying, names alone          {alone:6.1f} us a file")
    print(f"classifying, beside their mates   {beside:6.1f} us a file")
    print(f"listing folders for the first time{first:6.1f} us a file")
    print(f"listing folders that are known    {again:6.1f} us a file")


if __name__ == "__main__":
    main()
