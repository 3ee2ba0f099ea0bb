"""Accuracy by vendor on two tables: ``python -m training.maintainer.accuracy CORPUS NAMES``.

For maintainers, before and after a change of the model. CORPUS holds names and headers, NAMES names
alone (see `corpus_pair.read_two_tables`).
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Final

from classifier.errors import CratesortError
from training.maintainer.accuracy_text import as_text
from training.maintainer.corpus_pair import read_two_tables
from training.maintainer.measurement import SYSTEMS, Table, measure

N_FOLDS: Final = 5

#: Between two lines of progress where standard error is not a terminal.
_SECONDS_BETWEEN_LINES: Final = 10.0


def main(arguments: Sequence[str] | None = None, *, n_folds: int = N_FOLDS) -> int:
    """Measure, print, and return the exit code: 0, or 2 for a table that cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        measured = measure(
            read_two_tables(options.corpus, options.names),
            tables=tuple(Table) if options.table == "both" else (Table(options.table),),
            systems=options.systems,
            seed=options.seed,
            n_folds=n_folds,
            reference_batch_size=options.reference_batch_size,
            progress=_ProgressLine(),
        )
    except CratesortError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if options.json:
        sys.stdout.write(json.dumps(measured.as_dict()) + "\n")
    else:
        sys.stdout.write(as_text(measured, with_mistakes=options.mistakes))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.maintainer.accuracy",
        description="Accuracy by vendor of the published stack, a list of keywords, and cratesort.",
    )
    parser.add_argument("corpus", metavar="CORPUS", help="CSV of labelled names and headers")
    parser.add_argument("names", metavar="NAMES", help="CSV of labelled names without headers")
    parser.add_argument("--seed", type=int, default=0, help="of splits and fits (%(default)s)")
    parser.add_argument(
        "--systems",
        type=_systems,
        default=SYSTEMS,
        metavar="LIST",
        help=f"some of {','.join(SYSTEMS)}; the first is the slow one (all)",
    )
    parser.add_argument(
        "--table", choices=[*Table, "both"], default="both", help="which to test (%(default)s)"
    )
    parser.add_argument(
        "--reference-batch-size",
        type=_at_least_one,
        default=1,
        metavar="ROWS",
        help="a step of the reference LSTM; published: 1 (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--mistakes",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="show the surest ones of the last system",
    )
    return parser


def _systems(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in SYSTEMS:
            raise argparse.ArgumentTypeError(f"{name!r} is not one; there are {', '.join(SYSTEMS)}")
    return names


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


class _ProgressLine:
    """Writes progress to standard error: one line that changes, or a line now and then."""

    def __init__(self) -> None:
        self._written = 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        """See `training.phase_progress.Progress`."""
        line = f"{phase}: {done} of {total}"
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{line}" + "\n" * (done == total))
        elif done == total or time.monotonic() - self._written > _SECONDS_BETWEEN_LINES:
            self._written = time.monotonic()
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
