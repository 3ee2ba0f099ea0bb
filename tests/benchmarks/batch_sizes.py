"""Speed by batch size: ``python -m tests.benchmarks.batch_sizes``.

Sends the same files through the queue with batches of several sizes. Prints a Markdown table.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.machine import machine
from tests.benchmarks.throughput.library import make_library
from tests.benchmarks.throughput.ours import through_queue
from tests.support.servers import PostgresServer, RedisServer, running


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=60_000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024, 2048, 4096])
    options = parser.parse_args()
    print(f"{machine()}; {options.files:,} files", end="\n\n")
    print("| sounds in a batch | files/s | CPU s / 1,000 files |\n|---|---|---|")
    with (
        TemporaryDirectory() as name,
        running(RedisServer()) as redis,
        running(PostgresServer()) as postgres,
    ):
        library = make_library(Path(name), options.files)
        for size in options.sizes:
            more = {"CRATESORT_BATCH_SIZE": str(size)}
            run = through_queue(library, Path(name), redis, postgres, f"of{size}", more=more)
            print(f"| {size:,} | {run.rate:,.0f} | {run.cpu_per_thousand:.3f} |", flush=True)


if __name__ == "__main__":
    main()
