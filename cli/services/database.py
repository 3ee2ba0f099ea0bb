"""``cratesort db``: upgrade a database's tables, or copy one database into another."""

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from classifier.files.paths import path_text, printable
from cli.console.options import json_option
from cli.console.output import counted, print_json, say, tell
from cli.console.text_tables import print_table

if TYPE_CHECKING:
    from db.transfer import Copied


@click.group()
def db() -> None:
    """Manage the database."""


@db.command()
def upgrade() -> None:
    """Create the tables, or update them to this version.

    Does nothing if they are up to date.
    """
    from db.engine import shown
    from db.migrate import HEAD
    from db.migrate import upgrade as run
    from workers.settings import load_settings

    url = load_settings().database
    before = run(url)
    if before == HEAD:
        say(f"{shown(url)} is at revision {HEAD} already")
    elif before is not None and before > HEAD:
        say(f"{shown(url)} is at revision {before}, which this version can use")
    else:
        say(f"{shown(url)} is now at revision {HEAD} (was {before or 'empty'})")


@db.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option(
    "--root",
    "roots",
    multiple=True,
    metavar="NAME=FOLDER",
    help="Convert absolute paths below FOLDER to paths in the library root NAME. Repeatable.",
)
@json_option
def copy(source: str, target: str, roots: tuple[str, ...], as_json: bool) -> None:
    """Copy all data into an empty database.

    FROM and TO are URLs as in CRATESORT_DATABASE_URL. Either everything is copied or nothing; FROM
    is not changed. First stop everything that writes to FROM: later changes are not copied. A
    password can be given in PGPASSWORD instead of the URL.

    Without a broker, cratesort stores absolute paths; a fleet reads only paths in its library
    roots. --root library=/home/me/Samples converts the absolute paths below that folder.
    """
    from db.transfer import copy as run

    _require_url(source, "FROM")
    _require_url(target, "TO")
    by_name: dict[str, str] = {}
    for name, folder in map(_root, roots):
        if by_name.setdefault(name, folder) != folder:
            raise click.BadParameter(f"the root {name!r} is given twice", param_hint="--root")
    done = run(source, target, roots=by_name, on_progress=_progress())
    if as_json:
        print_json(asdict(done))
        return
    print_table([(count, table) for table, count in done.rows.items()], "><")
    for line in _warnings(done):
        say(line)


def _require_url(url: str, argument: str) -> None:
    from db.engine import DatabaseUrlError, parse_url

    try:
        parse_url(url)
    except DatabaseUrlError as error:
        raise click.BadParameter(str(error), param_hint=argument) from None


def _root(text: str) -> tuple[str, str]:
    from workers.settings import ROOT_NAME

    name, equals, folder = text.partition("=")
    if not equals or not ROOT_NAME.fullmatch(name) or not folder.startswith("/"):
        raise click.BadParameter(
            f"expected NAME=/an/absolute/folder, got {printable(text)!r}", param_hint="--root"
        )
    return name, path_text(folder)


def _progress() -> Callable[[str, int], None]:
    """Return a callback that prints the number of copied rows, every 100,000 rows of a table."""
    printed = 0

    def show(table: str, rows: int) -> None:
        nonlocal printed
        if rows // 100_000 > printed:
            tell(f"{table}: {rows:,} rows copied")
        printed = rows // 100_000  # smaller than before: the next table

    return show


def _warnings(done: "Copied") -> list[str]:
    lines = []
    if done.without_root:
        lines += [
            "",
            counted(done.without_root, "sound has an absolute path", "sounds have absolute paths")
            + ", which workers cannot read. For a fleet, copy again into a new database with "
            "`--root NAME=/their/folder`.",
        ]
    if done.waiting_without_root:
        lines.append(
            counted(
                done.waiting_without_root,
                "batch of such paths is not done",
                "batches of such paths are not done",
            )
            + ": workers cannot process them, so ingest those files again in the fleet."
        )
    return lines
