"""One process without queue and database: ``python -m ...bare LIBRARY [PART PARTS]``.

Prints files, seconds and processor seconds as JSON, from the first file to the last. Start and
model loading are not counted.
"""

import json
import sys
import time
from pathlib import Path
from typing import Final

from tests.benchmarks.throughput.work import Work, paths_below

_BATCH: Final = 512


def main() -> None:
    """Classify a library in batches."""
    library = Path(sys.argv[1])
    work = Work(library)
    began, used = time.perf_counter(), time.process_time()
    part, parts = map(int, sys.argv[2:] or (0, 1))
    paths = paths_below(library)
    paths = paths[part * len(paths) // parts : (part + 1) * len(paths) // parts]
    for start in range(0, len(paths), _BATCH):
        work.classify(paths[start : start + _BATCH])
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    print(json.dumps({"files": len(paths), "seconds": seconds, "cpu_seconds": cpu}))


if __name__ == "__main__":
    main()
