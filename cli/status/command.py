"""``cratesort status``: what is open, how fast it goes, what the table holds."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from classifier.errors import GIVEN_UP
from cli.console.options import json_option
from cli.console.output import iso_time, print_json, say, terminal_width
from cli.console.session import opened_database
from cli.status.status_text import plain_lines

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from db.registry.training_runs import TrainingRun
    from workers.settings import Settings


@click.command()
@json_option
@click.option("--watch", is_flag=True, help="Show it anew every second until Ctrl-C.")
def status(as_json: bool, watch: bool) -> None:
    """Show the ledger's open work, the pace, and the table's contents.

    Every number is counted from the database's rows at that moment; the inbox's lists are Redis'.
    """
    if as_json and watch:
        raise click.UsageError("--json and --watch exclude each other")

    with opened_database() as (settings, database):
        if as_json:
            print_json(_status(database, settings))
        elif watch:
            from cli.status.status_live import watch_status

            watch_status(lambda: _status(database, settings))
        else:
            for line in plain_lines(_status(database, settings), terminal_width()):
                say(line)


def _status(database: "Engine", settings: "Settings") -> dict[str, Any]:
    from db.engine import reading
    from db.registry.bundles import serving_version
    from db.registry.training_runs import latest
    from db.reporting.counts import ledger_counts, sound_counts
    from db.reporting.ingest_progress import progress
    from db.reporting.throughput import files_per_second
    from db.reporting.throughput import work as work_now

    with reading(database) as connection:
        counts = sound_counts(connection)
        ledger = ledger_counts(connection)
        pace = files_per_second(connection)
        at_work = work_now(connection)
        ingests = progress(connection)
        version = serving_version(connection)
        run = latest(connection)
    return {
        "sounds": {
            "classified": counts.classified,
            "failed": counts.failed,
            "needs_review": counts.needs_review,
            "given_up": sum(counts.errors.get(code, 0) for code in GIVEN_UP),
        },
        "batches": ledger.batches,
        "oldest_waiting_seconds": ledger.oldest_seconds,
        "workers": {
            name: {
                "processes": host.processes,
                "batches_in_hand": host.batches_in_hand,
                "files_per_second": round(host.files_per_second, 2),
            }
            for name, host in at_work.hosts.items()
        },
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
                "files_per_second": round(at_work.ingest_files_per_second.get(ingest.id, 0.0), 2),
            }
            for ingest in ingests
        ],
        "categories": counts.categories,
        "errors": counts.errors,
        "model_version": version,
        "training": None if run is None else _training(run),
        "files_per_second": pace,
        "inbox": _inbox(settings),
    }


def _inbox(settings: "Settings") -> dict[str, int | None] | None:
    """Return how many entries the inbox's lists hold.

    None without a broker; each number None when Redis does not answer.
    """
    if settings.broker_url is None:
        return None
    from tasks.inbox.redis_lists import (
        count_entries,  # Redis' client, which one machine does not load
    )

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
