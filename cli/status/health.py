"""``cratesort health``: a health check for containers and load balancers."""

import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from cli.console.exit_codes import Exit
from cli.console.options import json_option
from cli.console.output import counted, print_json, say
from cli.console.session import NOT_READ, opened_database

if TYPE_CHECKING:
    from pathlib import Path

    from db.reporting.open_work import OpenWork
    from workers.settings import Settings

#: A batch that was returned this many times in a row has a fault that does not go away by itself.
_MANY_SETBACKS: Final = 3

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

    Exit code: 0 healthy; 2 wrong configuration, or no database; 3 a library root has queued work
    and none of it was claimed for CRATESORT_STUCK_SECONDS, batches are returned to the queue again
    and again, a library root of this host is empty or another folder, no intake is running, or the
    database or Redis is unreachable.
    """
    if of_inbox:
        sys.exit(_inbox_health(as_json))
    from db.engine import reading
    from db.queue.root_names import known_names
    from db.reporting.open_work import open_work

    with (
        opened_database(must_exist=True) as (settings, database),
        reading(database) as connection,
    ):
        work = open_work(connection)
        known = {root: known_names(connection, root) for root in settings.library_roots}
    fault = fault_of(work, settings) or next(_root_faults(settings, known), None)
    if as_json:
        print_json(
            {
                "healthy": fault is None,
                "waiting_batches": work.waiting,
                "unclaimed_seconds": round(work.unclaimed_seconds, 1),
                "fault": fault,
            }
        )
    elif fault:
        say(f"unhealthy: {fault}")
    elif work.waiting:
        say(f"healthy: {waiting_text(work)}")
    else:
        say("healthy: no work is waiting")
    sys.exit(Exit.UNREACHABLE if fault else Exit.DONE)


def _inbox_health(as_json: bool) -> Exit:
    from cli.services.preflight import broker_url_for
    from tasks.inbox.redis_lists import InboxUnavailableError, count_entries

    intakes: int | None = None
    try:
        counts = count_entries(broker_url_for("an intake"))
    except InboxUnavailableError as error:
        text = str(error)
    else:
        intakes = counts.intakes
        running = counted(intakes, "intake is running", "intakes are running")
        waiting = counted(counts.waiting, "entry is waiting", "entries are waiting")
        text = f"{running if intakes else 'no intake is running'}, {waiting}"
    if as_json:
        print_json({"healthy": bool(intakes), "intakes": intakes})
    else:
        say(f"{'healthy' if intakes else 'unhealthy'}: {text}")
    return Exit.DONE if intakes else Exit.UNREACHABLE


def waiting_text(work: "OpenWork") -> str:
    """Return how many batches wait, and for how long none was claimed."""
    waiting = counted(work.waiting, "batch is waiting", "batches are waiting")
    return f"{waiting}, none claimed for {work.unclaimed_seconds:.0f} s"


def fault_of(work: "OpenWork", settings: "Settings") -> str | None:
    """Return a sentence about work that is stuck; None if there is none."""
    if work.without_root and not settings.reads_absolute_paths:
        batches = counted(
            work.without_root, "batch has absolute paths", "batches have absolute paths"
        )
        return f"{batches}, {NOT_READ}"
    for root in work.roots:
        of_root = f" of the library root {root.root!r}" if root.root else ""
        if root.unclaimed_seconds > settings.stuck_seconds:
            waiting = counted(root.waiting, f"batch{of_root} is", f"batches{of_root} are")
            return f"{waiting} waiting, none claimed for {root.unclaimed_seconds:,.0f} s"
        if root.setbacks >= _MANY_SETBACKS:
            batches = counted(root.returned, f"batch{of_root} was", f"batches{of_root} were")
            return (
                f"{batches} returned to the queue, up to {root.setbacks} times in a row: "
                f"{root.reason or 'by an old version of cratesort, which records no reason'}"
            )
    return None


def _root_faults(settings: "Settings", known: dict[str, list[str]]) -> Iterator[str]:
    """Yield the faults of the library roots whose folders exist on this host.

    A missing folder is not a fault: a host that runs only beat, for example, needs none.
    """
    from workers.library_roots import LibraryRoot

    def check(name: str, folder: "Path") -> None:
        if folder.is_dir() and known.get(name):
            faults[name] = LibraryRoot.named(name, settings).fault(known[name])
        else:
            faults[name] = None

    for name, folder in settings.library_roots.items():
        faults: dict[str, str | None] = {}
        thread = threading.Thread(target=check, args=(name, folder), daemon=True)
        thread.start()
        thread.join(_ROOT_SECONDS)
        fault = faults.get(name, f"{folder} did not respond within {_ROOT_SECONDS:g} s")
        if fault is not None:
            yield f"the library root {name!r}: {fault}; is it mounted?"
