"""``cratesort intake``: the process that serves the inbox."""

import signal
import sys
import threading
from types import FrameType

import click

from classifier.errors import CratesortError
from cli.console.exit_codes import Exit
from cli.console.interrupts import exit_at_second_interrupt
from cli.console.session import opened_database
from cli.services.preflight import require_broker
from workers.logging_setup import log_from_signal, set_up_logging


class NoRootsError(CratesortError):
    """An intake was started without library roots."""


@click.command()
def intake() -> None:
    """Queue the paths that programs push to a Redis list (the inbox).

    docs/reference/inbox.md describes the entries of the list cratesort:inbox. Several intakes may
    run, on any hosts that have the library roots. Stop one with SIGTERM or Ctrl-C: everything that
    it has read is saved to the database first.
    """
    require_broker("an intake")
    from db.engine import SERVICE
    from tasks.inbox.consumer import Intake
    from workers.celery_ext.app import build_app
    from workers.settings import load_settings

    settings = load_settings()
    if not settings.library_roots:
        raise NoRootsError(
            "an intake needs library roots, and none is set: set "
            "CRATESORT_LIBRARY_ROOTS (packs=/mnt/packs), the same names on every host"
        )
    set_up_logging(settings.log_level, settings.log_format)
    with opened_database(settings, SERVICE) as (_, database):
        stop_requested = threading.Event()
        code = Exit.DONE

        def stop(number: int, _: FrameType | None) -> None:
            nonlocal code
            stop_requested.set()
            if number == signal.SIGINT:
                code = Exit.INTERRUPTED
                log_from_signal(
                    "finishing the entries that were taken; press Ctrl-C again to stop at once"
                )

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        with exit_at_second_interrupt(), build_app(settings) as app:
            Intake(settings, app, database).serve(stop_requested)
    sys.exit(code)
