"""Speed on slow storage: ``python -m tests.benchmarks.slow_storage``.

Opening a file takes 5 ms longer than usual, as on a network mount. One process reads the headers of
the same files as a worker does, with prefetching and without, and from storage that is not slow,
where nothing is prefetched. Prints files per second. Real network storage has other limits.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from classifier.files.safe_open import open_beneath
from tests.benchmarks.machine import machine
from tests.benchmarks.throughput.library import make_library
from tests.benchmarks.throughput.work import paths_below
from workers import library_roots
from workers.library_roots import LibraryRoot
from workers.reading import sound_headers

_BATCH = 200


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=0.005)
    parsed = parser.parse_args()
    with TemporaryDirectory() as name:
        library = make_library(Path(name), parsed.files)
        print(f"{machine()}; {parsed.files:,} files\n\n| storage | files/s |\n|---|---|")

        def slowly(*arguments: object, **options: object) -> object:
            time.sleep(parsed.seconds)
            return open_beneath(*arguments, **options)  # type: ignore[arg-type]

        print(f"| local | {_rate(library):,.0f} |")
        with patch.object(library_roots, "open_beneath", slowly):
            delay = f"opening takes {1e3 * parsed.seconds:.0f} ms longer"
            print(f"| {delay}, files opened ahead | {_rate(library):,.0f} |")
            with patch.object(sound_headers, "_SLOW_STORAGE_SECONDS", float("inf")):
                rate = _rate(library)
            print(f"| {delay} | {rate:,.0f} |")


def _rate(library: Path) -> float:
    paths = paths_below(library)
    began = time.perf_counter()
    with LibraryRoot("library", bytes(library)).opened() as root:
        for start in range(0, len(paths), _BATCH):
            sound_headers.read_headers(root, paths[start : start + _BATCH], lambda _: None)
    return len(paths) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
