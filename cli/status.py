"""``cratesort status``: what is open, how fast it goes, what the table holds."""

import time
from typing import TYPE_CHECKING, Any, Final

import click

from classifier.errors import GIVEN_UP
from classifier.paths import printable
from cli.terminal import command, print_json, say, shorten, terminal_width

if TYPE_CHECKING:
    from sqlalchemy import Engine

_REFRESH_SECONDS: Final = 1.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
@click.option("--watch", is_flag=True, help="Show it anew every second until Ctrl-C.")
def status(as_json: bool, watch: bool) -> None:
    """Show the ledger's open work, the pace, and the table's contents.

    Every number is counted from the database's rows at that moment.
    """
    if as_json and watch:
        raise click.UsageError("--json and --watch exclude each other")

    from db.engine import create_engine
    from db.migrate import require_current
    from workers.settings import load_settings

    database = create_engine(load_settings().database)
    require_current(database)
    if as_json:
        print_json(_status(database))
        return
    if not watch:
        for line in _lines(_status(database), terminal_width()):
            say(line)
        return
    _watch(database)


def _watch(database: "Engine") -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console()
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            lines = _lines(_status(database), console.width)
            live.update(Text("\n".join(lines)), refresh=True)
            time.sleep(_REFRESH_SECONDS)


def _status(database: "Engine") -> dict[str, Any]:
    from classifier.artifact import starter_version
    from db.bundles import champion_version
    from db.engine import reading
    from db.overview import backlog, progress, sound_counts

    with reading(database) as connection:
        counts = sound_counts(connection)
        work = backlog(connection)
        ingests = progress(connection)
        version = champion_version(connection) or starter_version()
    return {
        "sounds": {
            "classified": counts.classified,
            "failed": counts.failed,
            "needs_review": counts.needs_review,
            "given_up": sum(counts.errors.get(code, 0) for code in GIVEN_UP),
        },
        "batches": work.batches,
        "ingests": [
            {
                "ingest_id": ingest.id,
                "source": ingest.source,
                "found": ingest.found,
                "ignored": ingest.ignored,
                "skipped_unchanged": ingest.skipped_unchanged,
                "enqueued": ingest.enqueued,
                "classified": ingest.classified,
                "failed": ingest.failed,
                "submitted": ingest.submitted,
                "finished": ingest.finished,
            }
            for ingest in ingests
        ],
        "categories": counts.categories,
        "errors": counts.errors,
        "model_version": version,
        "files_per_second": work.files_per_second,
    }


def _lines(state: dict[str, Any], width: int) -> list[str]:
    sounds, batches = state["sounds"], state["batches"]
    lines = [
        f"Sounds    {sounds['classified']:,} classified, {sounds['failed']:,} failed, "
        f"{sounds['needs_review']:,} to review",
        "Batches   " + ", ".join(f"{count:,} {name}" for name, count in batches.items()),
        f"Pace      {state['files_per_second']:,.0f} files/s over the last minute",
        f"Model     {printable(state['model_version'])}",
    ]
    if state["ingests"]:
        lines += ["", "Latest ingests"]
    for ingest in state["ingests"]:
        done = ingest["classified"] + ingest["failed"]
        how = "done" if ingest["finished"] else "open" if ingest["submitted"] else "cut short"
        counted = f"{done:,} of {ingest['enqueued']:,}"
        left = f"  {ingest['ingest_id']:>5}  {how:<9}  {counted:>21}  "
        lines.append(left + shorten(ingest["source"], max(10, width - len(left) - 1)).rstrip())
    if state["errors"]:
        lines += ["", "Without a category"]
        lines += [f"  {code:<19}{count:>9,}" for code, count in state["errors"].items()]
    given_up = sounds["given_up"]
    if given_up:
        lines += [
            "",
            f"{given_up:,} given up (tried in vain); once the cause is mended: "
            + command("retry --failed"),
        ]
    return lines
