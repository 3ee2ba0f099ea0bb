"""Accuracy by vendor on two tables: ``python -m training.maintainer.accuracy CORPUS NAMES``.

For maintainers, before and after a change of the model. CORPUS holds names and headers, NAMES names
alone (see `two_tables.read_two_tables`).
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Final

from classifier.errors import CratesortError
from training.maintainer.accuracy_text import as_text
from training.maintainer.comparison import System, Table, compare
from training.maintainer.corpus_pair import read_two_tables

N_FOLDS: Final = 5

#: Between two lines about progress where nobody looks at a terminal.
_TELL_SECONDS: Final = 10.0


def main(arguments: Sequence[str] | None = None, *, n_folds: int = N_FOLDS) -> int:
    """Measure, print, and return the exit code: 0, or 2 for a table that cannot be used."""
    asked = _parser().parse_args(arguments)
    tables = tuple(Table) if asked.table == "both" else (Table(asked.table),)
    try:
        found = compare(
            read_two_tables(asked.corpus, asked.names),
            asked=tables,
            systems=asked.systems,
            seed=asked.seed,
            n_folds=n_folds,
            reference_batch_size=asked.reference_batch_size,
            progress=_Told(),
        )
    except CratesortError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if asked.json:
        sys.stdout.write(json.dumps(found.as_dict()) + "\n")
    else:
        sys.stdout.write(as_text(found, with_mistakes=asked.mistakes))
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
        default=tuple(System),
        metavar="LIST",
        help=f"some of {','.join(System)}; the first is the slow one (all)",
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


def _systems(text: str) -> tuple[System, ...]:
    try:
        return tuple(System(name.strip()) for name in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; there are {', '.join(System)}") from None


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


class _Told:
    """Tells progress on standard error: one line that changes, or a line now and then."""

    def __init__(self) -> None:
        self._told = 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        """See `training.progress.Progress`."""
        line = f"{phase}: {done} of {total}"
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{line}" + "\n" * (done == total))
        elif done == total or time.monotonic() - self._told > _TELL_SECONDS:
            self._told = time.monotonic()
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
