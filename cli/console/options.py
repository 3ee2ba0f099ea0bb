"""Options that several commands share."""

from functools import partial
from typing import Final

import click

json_option: Final = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on standard output."
)
wait_option: Final = click.option(
    "--wait/--no-wait",
    default=None,
    help="Return when every file has its row, or as soon as the ledger has them. Default: wait "
    "in process and on a terminal.",
)
labelled_table_option: Final = partial(
    click.option,
    "--from-csv",
    "table",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Labelled sounds: category, file_path, vendor and header columns; .csv or .csv.gz.",
)
report_option: Final = partial(
    click.option, "--report", "folder", metavar="DIR", type=click.Path(file_okay=False)
)
seed_option: Final = click.option(
    "--seed", default=0, show_default=True, help="Of every split and fit."
)
