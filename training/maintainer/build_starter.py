"""Build the starter bundle: ``python -m training.maintainer.build_starter CORPUS NAMES``.

For maintainers. Prints the manifest as JSON; `training.maintainer.accuracy` measures what the model
card says.
"""

import argparse
import json
import sys
from importlib import resources
from typing import Final

from training.maintainer.corpus_pair import read_two_tables
from training.runs.from_table import train_bundle

#: Raised with every starter that ships; rows classified by it carry this version.
STARTER_VERSION: Final = "starter-3"
STARTER_SEED: Final = 0


def main() -> None:
    """Train on both tables and put the bundle where the package looks for it."""
    parser = argparse.ArgumentParser(
        prog="python -m training.maintainer.build_starter", description=__doc__
    )
    parser.add_argument("corpus", help="CSV of labelled sounds: names and headers")
    parser.add_argument("names", help="CSV of labelled names without headers")
    home = str(resources.files("classifier").joinpath("starter", "starter.zip"))
    parser.add_argument("--output", default=home, help="default: %(default)s")
    arguments = parser.parse_args()

    outcome = train_bundle(
        read_two_tables(arguments.corpus, arguments.names).all_sounds,
        version=STARTER_VERSION,
        seed=STARTER_SEED,
        progress=lambda phase, done, total: _report(f"\r{phase}: {done}/{total}  "),
    )
    with open(arguments.output, "wb") as file:
        file.write(outcome.bundle)
    _report(f"\n{len(outcome.bundle):,} bytes\n")
    sys.stdout.write(json.dumps(outcome.manifest.as_dict(), indent=1) + "\n")


def _report(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


if __name__ == "__main__":
    main()
