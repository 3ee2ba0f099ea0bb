"""A training run whose work can be held at any stage, and the same as a process.

On reaching a stage it leaves a file named after it in a folder, and stays there as long as the
folder holds ``stay-`` and the stage's name. Its stages: ``beginning`` (the row is there),
``computing`` (after the first step), ``ending`` (all is computed), ``writing`` (in the middle of
the transaction that ends the run).
"""

import signal
import sys
import time
from pathlib import Path

from db.engine import create_engine
from db.registry import bundles
from db.states import RunTrigger, RunVerdict
from tests.support import bundles as made
from training.errors import TrainingError
from training.runs.result import RunResult
from training.runs.run import RunWork, perform

STAGES = ("beginning", "computing", "ending", "writing")
VERSION = "challenger"


def held_work(folder: str, fixed_version: str | None = None) -> RunWork:
    """Return work for a run, of this version if given.

    The finishing transaction of this process can be held from now on.
    """

    def reach(stage):
        Path(folder, stage).touch()
        while Path(folder, f"stay-{stage}").exists():
            time.sleep(0.02)

    promote = bundles.promote

    def promote_in_the_middle(*arguments, **options):
        reach("writing")
        return promote(*arguments, **options)

    bundles.promote = promote_in_the_middle

    def work(_database, *, version, seed, progress):
        version = fixed_version or version
        reach("beginning")
        progress("reading", 1, 2)
        reach("computing")
        progress("reading", 2, 2)
        bundle = made.called(version)
        reach("ending")
        return RunResult(
            version=version,
            bundle=bundle,
            sizes={"labelled": 7},
            metrics={"macro_f1": 0.5},
            verdict=RunVerdict.PROMOTED,
            reason="it is better",
            report_html="<h1>A report</h1>",
            last_label_id=41,
        )

    return work


def main(url: str, folder: str, lease_seconds: str) -> None:
    """Be such a run; a fault that has a type is printed, with exit code 9."""
    # A test's runner may have been started with Ctrl-C ignored, which is inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        perform(
            create_engine(url),
            held_work(folder, VERSION),
            trigger=RunTrigger.HAND,
            slot=None,
            seed=0,
            lease_seconds=float(lease_seconds),
            time_limit_seconds=3600,
        )
    except TrainingError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(9)


if __name__ == "__main__":
    main(*sys.argv[1:])
