"""Response time of short commands: ``python -m tests.benchmarks.commands``.

`cratesort --help`, and `cratesort status` on an SQLite file with a hundred sounds, each as a new
process, including Python's start. Prints median and minimum of several runs. For `status` on a
large table see `tests.benchmarks.growth`.
"""

import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from db.engine import create_engine
from db.migrate import upgrade
from tests.benchmarks.growth import fill
from tests.benchmarks.machine import machine
from tests.support.command_line import run_as_process

_ROUNDS: Final = 15
_SOUNDS: Final = 100


def main() -> None:
    """Print a Markdown table."""
    print(machine(), end="\n\n")
    print("| command | median | least |\n|---|---|---|")
    with TemporaryDirectory() as name:
        folder = Path(name)
        database_url = f"sqlite:///{folder}/cratesort.db"
        upgrade(database_url)
        database = create_engine(database_url)
        fill(database, _SOUNDS)
        database.dispose()
        for command in ("--help", "status"):
            took = [_seconds(command, folder, database_url) for _ in range(_ROUNDS)]
            print(f"| `cratesort {command}` | {median(took):.2f} s | {min(took):.2f} s |")


def _seconds(command: str, folder: Path, database_url: str) -> float:
    began = time.perf_counter()
    done = run_as_process((command,), folder, {"CRATESORT_DATABASE_URL": database_url})
    assert done.code == 0, done.stderr
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
