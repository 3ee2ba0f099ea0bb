"""Make a library, run each system over it, print the table."""

import argparse
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.benchmarks.machine import machine
from tests.benchmarks.throughput import baselines, ours
from tests.benchmarks.throughput.library import make_library
from tests.benchmarks.throughput.ours import Run
from tests.benchmarks.throughput.work import paths_below
from tests.support.servers import PostgresServer, RedisServer, running

_NAIVE_FILES: Final = 500
_SYSTEMS: Final = ("bare", "bare-pair", "queue", "embedded", "ray", "naive")


def main() -> None:
    """Compare the systems."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=1, help="of each system but the naive one")
    parser.add_argument("--systems", default=",".join(_SYSTEMS))
    options = parser.parse_args()
    wanted = options.systems.split(",")
    with (
        TemporaryDirectory() as name,
        running(RedisServer()) as redis,
        running(PostgresServer()) as postgres,
    ):
        folder = Path(name)
        library = make_library(folder, options.files)
        paths = paths_below(library)
        named: dict[str, Callable[[int], Run]] = {
            "bare": lambda _: baselines.bare(library, folder),
            "bare-pair": lambda _: baselines.bare_pair(library, folder),
            "queue": lambda turn: ours.through_queue(
                library, folder, redis, postgres, f"bench{turn}"
            ),
            "embedded": lambda turn: ours.in_process(library, folder / f"turn{turn}"),
            "ray": lambda _: baselines.ray_data(library, folder),
        }
        if "ray" in wanted and not baselines.has_ray():
            print("Ray Data is not installed: `pip install 'ray[data]'` (it is left out)")
            wanted.remove("ray")
        print(machine(), f"{len(paths):,} files", sep="; ", end="\n\n")
        runs: dict[str, list[Run]] = {}
        for turn in range(options.rounds):
            (folder / f"turn{turn}").mkdir()
            for system in filter(named.__contains__, wanted):
                run = named[system](turn)
                runs.setdefault(system, []).append(run)
                print(f"{system}: {run}", flush=True)
        if "naive" in wanted:
            some = paths[:: max(1, len(paths) // _NAIVE_FILES)][:_NAIVE_FILES]
            runs["naive"] = [baselines.naive(some, library, folder, redis, postgres)]
        print(_table(runs))


def _table(runs: dict[str, list[Run]]) -> str:
    """Return a Markdown table; of several rounds the median by files a second."""
    middle = {
        system: sorted(of_system, key=lambda run: run.rate)[len(of_system) // 2]
        for system, of_system in runs.items()
    }
    base = middle.get("bare")
    lines = [
        "| system | files/s | x bare | CPU s / 1,000 files | x bare |",
        "|---|---|---|---|---|",
    ]
    for system, run in middle.items():
        rate = f"{run.rate / base.rate:.2f}" if base else ""
        cpu = f"{run.cpu_per_thousand / base.cpu_per_thousand:.2f}" if base else ""
        lines.append(
            f"| {system} | {run.rate:,.0f} | {rate} | {run.cpu_per_thousand:.3f} | {cpu} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
