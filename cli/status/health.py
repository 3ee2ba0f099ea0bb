"""``cratesort health``: whether work gets done, for a container's or a load balancer's check."""

import sys
from typing import TYPE_CHECKING

import click

from cli.console.exit_codes import Exit
from cli.console.options import json_option
from cli.console.output import print_json, say
from cli.console.session import NOT_READ, opened_database

if TYPE_CHECKING:
    from db.reporting.counts import Waiting
    from workers.settings import Settings


@click.command()
@click.option(
    "--inbox", "of_inbox", is_flag=True, help="Check whether an intake serves the inbox instead."
)
@json_option
def health(of_inbox: bool, as_json: bool) -> None:
    """Check whether waiting work is being claimed.

    Only the database is read: a worker that runs and claims nothing is not healthy. With --inbox
    only Redis is read: whether any intake has served the inbox within its lease.

    Exit code: 0 healthy; 2 wrong configuration; 3 work exists and nothing was claimed for
    CRATESORT_STUCK_SECONDS, no intake serves, or the database or Redis is unreachable.
    """
    if of_inbox:
        sys.exit(_of_inbox(as_json))
    from db.engine import is_missing, reading
    from db.reporting.counts import Waiting, waiting
    from workers.settings import load_settings

    settings = load_settings()
    work = Waiting(0, 0, 0.0)
    if not is_missing(settings.database):
        with opened_database(settings) as (_, database), reading(database) as connection:
            work = waiting(connection)
    stuck = fault_of(work, settings)
    if as_json:
        print_json(
            {
                "healthy": stuck is None,
                "waiting_batches": work.batches,
                "unclaimed_seconds": round(work.unclaimed_seconds, 1),
            }
        )
    elif stuck:
        say(f"stuck: {stuck}")
    elif work.batches:
        say(f"healthy: {work.batches:,} batches wait, unclaimed for {work.unclaimed_seconds:.0f} s")
    else:
        say("healthy: no work waits")
    sys.exit(Exit.UNREACHABLE if stuck else Exit.DONE)


def _of_inbox(as_json: bool) -> Exit:
    from cli.services.preflight import broker_url_for
    from tasks.inbox.redis_lists import count_entries

    counts = count_entries(broker_url_for("an intake"))
    served = counts is not None and counts.intakes > 0
    if as_json:
        print_json({"healthy": served, "intakes": None if counts is None else counts.intakes})
    elif counts is None:
        say("stuck: Redis does not answer")
    elif not served:
        say(f"stuck: no intake serves the inbox, and {counts.waiting:,} entries wait")
    else:
        say(f"healthy: {counts.intakes:,} serve the inbox, {counts.waiting:,} entries wait")
    return Exit.DONE if served else Exit.UNREACHABLE


def fault_of(work: "Waiting", settings: "Settings") -> str | None:
    """Return the sentence about work that is not done; None when all is well."""
    if work.without_root and not settings.reads_absolute_paths:
        return f"{work.without_root:,} batches have absolute paths, {NOT_READ}"
    if work.unclaimed_seconds > settings.stuck_seconds:
        return (
            f"work exists ({work.batches:,} batches) and nothing has been claimed for "
            f"{work.unclaimed_seconds:,.0f} s"
        )
    return None
