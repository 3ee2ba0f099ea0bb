"""Build the starter bundle: ``python -m training.maintainer.build_starter CORPUS NAMES``."""

import json
from importlib import resources
from typing import Final

import click

from training.maintainer.corpus_pair import read_two_tables
from training.runs.from_table import train_bundle

#: Increment for every starter that ships. Rows classified by the starter carry this version.
STARTER_VERSION: Final = "starter-4"
STARTER_SEED: Final = 0

_STARTER: Final = str(resources.files("classifier").joinpath("starter", "starter.zip"))


@click.command()
@click.argument("corpus")
@click.argument("names")
@click.option("--output", default=_STARTER, show_default=True)
def main(corpus: str, names: str, output: str) -> None:
    """Train on both tables, write the bundle, and print its manifest as JSON.

    For maintainers; `training.maintainer.accuracy` measures what the model card says.
    """
    outcome = train_bundle(
        read_two_tables(corpus, names).all_sounds,
        version=STARTER_VERSION,
        seed=STARTER_SEED,
        progress=lambda phase, done, total: click.echo(
            f"\r{phase}: {done}/{total}  ", err=True, nl=False
        ),
    )
    with open(output, "wb") as file:
        file.write(outcome.bundle)
    click.echo(f"\n{len(outcome.bundle):,} bytes", err=True)
    click.echo(json.dumps(outcome.manifest.as_dict(), indent=1))


if __name__ == "__main__":
    main()
