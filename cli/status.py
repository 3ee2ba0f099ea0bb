"""``cratesort status``: what is open, how fast it goes, what the table holds."""

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from classifier.errors import GIVEN_UP
from classifier.paths import printable
from cli.terminal import command, iso_time, print_json, say, shorten, terminal_width

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from db.training_runs import TrainingRun
    from workers.settings import Settings

_REFRESH_SECONDS: Final = 1.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
@click.option("--watch", is_flag=True, help="Show it anew every second until Ctrl-C.")
def status(as_json: bool, watch: bool) -> None:
    """Show the ledger's open work, the pace, and the table's contents.

    Every number is counted from the database's rows at that moment; the inbox's lists are Redis'.
    """
    if as_json and watch:
        raise click.UsageError("--json and --watch exclude each other")

    from db.engine import create_engine
    from db.migrate import require_current
    from workers.settings import load_settings

    settings = load_settings()
    database = create_engine(settings.database)
    require_current(database)
    if as_json:
        print_json(_status(database, settings))
        return
    if not watch:
        for line in _lines(_status(database, settings), terminal_width()):
            say(line)
        return
    _watch(database, settings)


def _watch(database: "Engine", settings: "Settings") -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console()
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            lines = _lines(_status(database, settings), console.width)
            live.update(Text("\n".join(lines)), refresh=True)
            time.sleep(_REFRESH_SECONDS)


def _status(database: "Engine", settings: "Settings") -> dict[str, Any]:
    from classifier.artifact import starter_version
    from db.bundles import champion_version
    from db.engine import reading
    from db.overview import backlog, progress, sound_counts
    from db.training_runs import latest

    with reading(database) as connection:
        counts = sound_counts(connection)
        work = backlog(connection)
        ingests = progress(connection)
        version = champion_version(connection) or starter_version()
        run = latest(connection)
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
        "training": None if run is None else _training(run),
        "files_per_second": work.files_per_second,
        "inbox": _inbox(settings),
    }


def _inbox(settings: "Settings") -> dict[str, int | None] | None:
    """Return how many entries the inbox's lists hold.

    None without a broker; each number None when Redis does not answer.
    """
    if settings.broker_url is None:
        return None
    from tasks.inbox import count_entries  # Redis' client, which one machine does not load

    counts = count_entries(settings.broker_url.get_secret_value())
    if counts is None:
        return dict.fromkeys(("waiting", "taken", "dead", "intakes"))
    return {
        "waiting": counts.waiting,
        "taken": counts.taken,
        "dead": counts.dead,
        "intakes": counts.intakes,
    }


def _training(run: "TrainingRun") -> dict[str, Any]:
    return {
        "run_id": run.id,
        "state": run.state,
        "silent": run.silent,
        "trigger": run.trigger,
        "slot": run.slot,
        "stage": run.stage,
        "holder": run.holder,
        "verdict": run.verdict,
        "reason": run.reason,
        "model_version": run.model_version,
        "started_at": _stated(run.started_at),
        "finished_at": _stated(run.finished_at),
    }


def _stated(moment: datetime | None) -> str | None:
    return None if moment is None else iso_time(moment, "seconds")


def _training_line(run: dict[str, Any]) -> str:
    number = f"Training  run {run['run_id']}"
    if run["silent"]:
        return f"{number} fell silent ({run['stage'] or 'at its beginning'}); it will be closed"
    if run["state"] == "running":
        return f"{number} since {run['started_at']}: {run['stage'] or 'beginning'}"
    how = run["verdict"] or "failed"
    model = "" if run["model_version"] is None else f" model {run['model_version']}"
    return f"{number} {how}{model}, {run['finished_at']}: {run['reason']}"


def _inbox_line(inbox: dict[str, int | None]) -> str:
    if inbox["waiting"] is None:
        return "Inbox     Redis does not answer"
    line = f"Inbox     {inbox['waiting']:,} waiting, {inbox['taken']:,} taken"
    if inbox["dead"]:
        line += f", {inbox['dead']:,} in its dead list"
    # A fleet may well do without; entries may not.
    unserved = not inbox["intakes"] and (inbox["waiting"] or inbox["taken"])
    return line + ("; no intake serves it" if unserved else "")


def _lines(state: dict[str, Any], width: int) -> list[str]:
    sounds, batches = state["sounds"], state["batches"]
    lines = [
        f"Sounds    {sounds['classified']:,} classified, {sounds['failed']:,} failed, "
        f"{sounds['needs_review']:,} to review",
        "Batches   " + ", ".join(f"{count:,} {name}" for name, count in batches.items()),
        f"Pace      {state['files_per_second']:,.0f} files/s over the last minute",
        f"Model     {printable(state['model_version'])}",
    ]
    if state["inbox"] is not None:
        lines.insert(2, _inbox_line(state["inbox"]))
    if state["training"] is not None:
        lines.append(printable(_training_line(state["training"])))
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
