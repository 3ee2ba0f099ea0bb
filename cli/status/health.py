"""``cratesort health``: a health check for containers and load balancers."""

import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from cli.console.exit_codes import Exit
from cli.console.options import json_option
from cli.console.output import print_json, say
from cli.console.session import NOT_READ, opened_database

if TYPE_CHECKING:
    from pathlib import Path

    from db.reporting.open_work import OpenWork
    from workers.settings import Settings

#: A batch that came back this many times in a row has a fault that does not go away by itself.
_OFTEN: Final = 3

#: Timeout for looking at a library root: a mount that hangs must not block the health check.
_ROOT_SECONDS: Final = 2.0


@click.command()
@click.option(
    "--inbox", "of_inbox", is_flag=True, help="Check only whether an intake serves the inbox."
)
@json_option
def health(of_inbox: bool, as_json: bool) -> None:
    """Check that queued work is claimed and library roots are there.

    Of the services only the database is queried: a worker that runs and claims nothing is
    unhealthy. With --inbox only Redis is queried: whether an intake has served the inbox within its
    lease.

    Exit code: 0 healthy; 2 wrong configuration; 3 a library root has queued work and none of it was
    claimed for CRATESORT_STUCK_SECONDS, batches are returned to the queue again and again, a
    library root of this host is empty or another folder, no intake is running, or the database or
    Redis is unreachable.
    """
    if of_inbox:
        sys.exit(_of_inbox(as_json))
    from db.engine import is_missing, reading
    from db.queue.root_names import known_names
    from db.reporting.open_work import OpenWork, open_work
    from workers.settings import load_settings

    settings = load_settings()
    work = OpenWork()
    known: dict[str, list[str]] = {}
    if not is_missing(settings.database):
        with opened_database(settings) as (_, database), reading(database) as connection:
            work = open_work(connection)
            known = {root: known_names(connection, root) for root in settings.library_roots}
    stuck = fault_of(work, settings) or next(_root_faults(settings, known), None)
    if as_json:
        print_json(
            {
                "healthy": stuck is None,
                "waiting_batches": work.waiting,
                "unclaimed_seconds": round(work.unclaimed_seconds, 1),
                "fault": stuck,
            }
        )
    elif stuck:
        say(f"stuck: {stuck}")
    elif work.waiting:
        say(f"healthy: {work.waiting:,} batches wait, unclaimed for {work.unclaimed_seconds:.0f} s")
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
        say("stuck: Redis cannot be used: `cratesort doctor` says why")
    elif not served:
        say(f"stuck: no intake serves the inbox, and {counts.waiting:,} entries wait")
    else:
        say(f"healthy: {counts.intakes:,} serve the inbox, {counts.waiting:,} entries wait")
    return Exit.DONE if served else Exit.UNREACHABLE


def fault_of(work: "OpenWork", settings: "Settings") -> str | None:
    """Return a sentence about work that is stuck; None if there is none."""
    if work.without_root and not settings.reads_absolute_paths:
        return f"{work.without_root:,} batches have absolute paths, {NOT_READ}"
    for root in work.roots:
        of_root = f" of the library root {root.root!r}" if root.root else ""
        if root.unclaimed_seconds > settings.stuck_seconds:
            return (
                f"work exists ({root.waiting:,} batches{of_root}) and nothing has been claimed for "
                f"{root.unclaimed_seconds:,.0f} s"
            )
        if root.setbacks >= _OFTEN:
            return (
                f"{root.returned:,} batches{of_root} came back, up to {root.setbacks} times in a "
                f"row: {root.reason or 'a version of cratesort that records no reason'}"
            )
    return None


def _root_faults(settings: "Settings", known: dict[str, list[str]]) -> Iterator[str]:
    """Yield the faults of the library roots whose folders exist on this host.

    A missing folder is not a fault: a host that runs only beat, for example, needs none.
    """
    from workers.library_roots import LibraryRoot

    def look(name: str, folder: "Path") -> None:
        if folder.is_dir() and known.get(name):
            faults[name] = LibraryRoot.named(name, settings).fault(known[name])
        else:
            faults[name] = None

    for name, folder in settings.library_roots.items():
        faults: dict[str, str | None] = {}
        thread = threading.Thread(target=look, args=(name, folder), daemon=True)
        thread.start()
        thread.join(_ROOT_SECONDS)
        fault = faults.get(name, f"{folder} does not answer")
        if fault is not None:
            yield f"the library root {name!r}: {fault}; is it mounted?"
