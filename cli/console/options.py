"""Options that several commands share."""

from collections.abc import Callable, Sized
from functools import partial
from typing import Any, Final

import click

from classifier.tables.columns import SOUND_COLUMNS

json_option: Final = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on standard output."
)
#: A change of more sounds requires --yes.
_MOST_WITHOUT_YES: Final = 100

yes_option: Final = click.option(
    "--yes", is_flag=True, help=f"Confirm a change of more than {_MOST_WITHOUT_YES} sounds."
)
wait_option: Final = click.option(
    "--wait/--no-wait",
    default=None,
    help="Wait until every file is classified, or return once all are queued. Default: wait on a "
    "terminal, and always without a broker.",
)
labelled_table_option: Final = partial(
    click.option,
    "--from-csv",
    "table",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Labelled sounds as .csv or .csv.gz: category, file_path, vendor and header columns.",
)


def column_option(*columns: str) -> Callable[[Any], Any]:
    """Return the option --column: a dictionary of our `columns` to the names in the table."""

    def parse(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
        names: dict[str, str] = {}
        for value in values:
            column, sign, name = (part.strip().lower() for part in value.partition("="))
            if not (sign and name):
                raise click.BadParameter(f"expected COLUMN=NAME, got {value!r}")
            if column not in columns:
                raise click.BadParameter(f"{column!r} is not one of {', '.join(columns)}")
            if column in names:
                raise click.BadParameter(f"{column} is given twice")
            names[column] = name
        return names

    return click.option(
        "--column",
        "columns",
        metavar="COLUMN=NAME",
        multiple=True,
        callback=parse,
        help="Read COLUMN from the table's column NAME, as in "
        f"{'category=label' if columns[0] == 'category' else f'{columns[0]}=filename'}. "
        "Repeatable.",
    )


sound_columns_option: Final = column_option(*SOUND_COLUMNS, "vendor")
labelled_columns_option: Final = column_option("category", *SOUND_COLUMNS, "vendor")
group_option: Final = click.option(
    "--group",
    metavar="COLUMN",
    help="Column that identifies the vendor. Default: vendor, else pack, else the code at the "
    "start of a name (ABC_kick_01).",
)
report_option: Final = partial(
    click.option, "--report", "folder", metavar="DIR", type=click.Path(file_okay=False)
)
seed_option: Final = click.option(
    "--seed", default=0, show_default=True, help="Random seed of all splits and fits."
)


def require_yes(sounds: Sized, verb: str, *, yes: bool) -> None:
    """Raise click.UsageError where many sounds would be changed without --yes."""
    if len(sounds) > _MOST_WITHOUT_YES and not yes:
        raise click.UsageError(f"this would {verb} {len(sounds):,} sounds; add --yes to confirm")
