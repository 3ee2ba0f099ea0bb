"""Speed of an ingest into a large table: ``python -m tests.benchmarks.large_table``.

Sends the same files through the queue into a table with few rows and into one with many, in turn.
Prints files per second of each and their ratio. For reading a large table see
`tests.benchmarks.growth`.
"""

import argparse
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.benchmarks.growth import fill
from tests.benchmarks.machine import machine
from tests.benchmarks.throughput.library import make_library
from tests.benchmarks.throughput.ours import through_queue
from tests.support.servers import PostgresServer, RedisServer, running


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--rows", type=int, nargs=2, default=(10_000, 2_000_000))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rates: dict[int, list[float]] = {rows: [] for rows in options.rows}
    with TemporaryDirectory() as name, running(RedisServer()) as redis:
        folder = Path(name)
        library = make_library(folder, options.files)
        for turn in range(options.rounds):
            for rows in options.rows:
                with running(PostgresServer()) as postgres:
                    run = through_queue(
                        library, folder, redis, postgres, f"t{turn}_{rows}",
                        partial(fill, count=rows),
                    )  # fmt: skip
                rates[rows].append(run.rate)
    few, many = (median(rates[rows]) for rows in options.rows)
    print(f"{machine()}; {options.files:,} files, median of {options.rounds}", end="\n\n")
    print("| rows in the table before | files/s |\n|---|---|")
    for rows in options.rows:
        print(f"| {rows:,} | {median(rates[rows]):,.0f} |")
    print(f"| ratio | {many / few:.2f} |")


if __name__ == "__main__":
    main()
