"""Options that several commands share."""

from collections.abc import Callable, Sized
from functools import partial
from typing import Any, Final

import click

from classifier.tables.columns import SOUND_COLUMNS

json_option: Final = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on standard output."
)
#: More sounds than these are changed at once only with --yes.
_MOST_UNASKED: Final = 100

yes_option: Final = click.option(
    "--yes", is_flag=True, help=f"Also for more than {_MOST_UNASKED} sounds."
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


def column_option(*ours: str) -> Callable[[Any], Any]:
    """Return the option --column: a dictionary of our column names `ours` to the table's names."""

    def parsed(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
        names: dict[str, str] = {}
        for text in given:
            our, sign, their = (part.strip().lower() for part in text.partition("="))
            if not (sign and their):
                raise click.BadParameter(f"expected OURS=THEIRS, got {text!r}")
            if our not in ours:
                raise click.BadParameter(f"{our!r} is none of {', '.join(ours)}")
            if our in names:
                raise click.BadParameter(f"{our} is given twice")
            names[our] = their
        return names

    return click.option(
        "--column",
        "columns",
        metavar="OURS=THEIRS",
        multiple=True,
        callback=parsed,
        help=f"The table calls the column OURS THEIRS, as in {ours[0]}=filename. Repeatable.",
    )


sound_columns_option: Final = column_option(*SOUND_COLUMNS, "vendor")
labelled_columns_option: Final = column_option("category", *SOUND_COLUMNS, "vendor")
group_option: Final = click.option(
    "--group",
    metavar="COLUMN",
    help="What tells vendors apart. Default: vendor, else pack, else the code that begins a name "
    "(ABC_kick_01).",
)
report_option: Final = partial(
    click.option, "--report", "folder", metavar="DIR", type=click.Path(file_okay=False)
)
seed_option: Final = click.option(
    "--seed", default=0, show_default=True, help="Of every split and fit."
)


def require_yes(sounds: Sized, verb: str, *, yes: bool) -> None:
    """Raise click.UsageError where many sounds would be changed without --yes."""
    if len(sounds) > _MOST_UNASKED and not yes:
        raise click.UsageError(f"these are {len(sounds):,} sounds; to {verb} them all add --yes")
