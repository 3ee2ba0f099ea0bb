"""The same work with Ray Data: ``python -m ...ray_data LIBRARY``; needs ``ray[data]``.

Two actors, batches of 256. The time is that of the whole pipeline, from the list of files to the
last prediction, including the start of the actors but not of Ray itself.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import ray

from tests.benchmarks.throughput.processor import cpu_seconds
from tests.benchmarks.throughput.work import Work, paths_below

_ACTORS: Final = 2
_BATCH: Final = 256


class Actor:
    """One process of Ray's."""

    def __init__(self, library: str) -> None:
        self._work = Work(Path(library))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        paths = [str(path) for path in batch["item"]]
        return {"path": batch["item"], "category": np.array(self._work.classify(paths))}


def main() -> None:
    """Classify a library."""
    library = sys.argv[1]
    # Not connected to any cluster, and without telemetry.
    ray.init(num_cpus=_ACTORS, include_dashboard=False, logging_level="ERROR")
    used = cpu_seconds(os.getpid())
    began = time.perf_counter()
    paths = paths_below(Path(library))
    answers = ray.data.from_items(
        paths, override_num_blocks=max(1, len(paths) // 2048)
    ).map_batches(
        Actor,
        fn_constructor_args=(library,),
        batch_size=_BATCH,
        compute=ray.data.ActorPoolStrategy(size=_ACTORS),
        num_cpus=1,
    )
    count = sum(len(batch["category"]) for batch in answers.iter_batches(batch_size=None))
    seconds = time.perf_counter() - began
    cpu = cpu_seconds(os.getpid()) - used
    print(json.dumps({"files": count, "seconds": seconds, "cpu_seconds": cpu}))


if __name__ == "__main__":
    main()
