"""Options that several commands share."""

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
seed_option: Final = click.option(
    "--seed", default=0, show_default=True, help="Of every split and fit."
)
