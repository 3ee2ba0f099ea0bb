"""Running Celery's programs: their options, logging and exit code."""

import logging
import os
import sys
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import click

from cli.console.exit_codes import Exit, explain
from workers.logging_setup import log_from_signal, set_up_logging

if TYPE_CHECKING:
    from celery import Celery

    from workers.settings import Settings

log = logging.getLogger(__name__)

_PROGRAMS: Final = {
    "worker": "celery.bin.worker",
    "beat": "celery.bin.beat",
    "flower": "flower.command",
}

#: They log an acknowledgement that Redis did not take, critical and with a traceback.
_LOG_ACKNOWLEDGEMENTS: Final = ("celery.worker.request", "celery.worker.consumer.consumer")


def option_values(options: list[str], short: str, long: str) -> list[str]:
    """Return the values of an option in any spelling: ``-Q a``, ``-Qa``, ``--queues=a``."""
    values = []
    for option, following in pairwise([*options, ""]):
        if option in (short, long):
            values.append(following)
        elif option.startswith(f"{long}="):
            values.append(option.removeprefix(f"{long}="))
        elif short and option.startswith(short) and not option.startswith("--"):
            values.append(option.removeprefix(short))
    return values


def set_default(options: list[str], short: str, long: str, value: str) -> None:
    """Add an option to `options` unless it is among them."""
    if not option_values(options, short, long):
        options += [long, value]


def plain_if_redis_is_away(record: logging.LogRecord) -> bool:
    """Log as one warning what could not be said to Redis while it is away; its messages return."""
    from workers.faults import BROKER_AWAY

    if record.exc_info and isinstance(record.exc_info[1], BROKER_AWAY):
        record.exc_info = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


def start(name: str, *options: str) -> None:
    """Run one of Celery's programs, and exit with its code."""
    from celery import signals

    from workers.celery_ext.app import app
    from workers.settings import load_settings

    settings = load_settings()
    set_up_logging(settings.log_level, settings.log_format)
    # At each loss of Redis Celery warns of a setting's default, and ours is set.
    logging.getLogger("py.warnings").addFilter(
        lambda record: "CPendingDeprecationWarning" not in record.getMessage()
    )
    for logger in _LOG_ACKNOWLEDGEMENTS:
        logging.getLogger(logger).addFilter(plain_if_redis_is_away)

    @signals.setup_logging.connect(weak=False)  # type: ignore[untyped-decorator]
    def _(**_: Any) -> None:
        pass  # with a receiver of this signal Celery leaves logging alone

    @signals.worker_ready.connect(weak=False)  # type: ignore[untyped-decorator]
    def _(sender: Any, **_: Any) -> None:
        _log_start(settings, sender)

    code = 0

    @signals.worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator]
    def _(sig: str, **_: Any) -> None:
        nonlocal code
        code = Exit.INTERRUPTED if sig == "SIGINT" else code

    @signals.worker_shutdown.connect(weak=False)  # type: ignore[untyped-decorator]
    def _(sender: Any, **_: Any) -> None:
        nonlocal code
        # Celery is handling the error that ended the worker, for which its own code is 1.
        error = sys.exc_info()[1]
        if isinstance(error, KeyboardInterrupt):
            code = Exit.INTERRUPTED
        elif isinstance(error, Exception):
            code = _code_of(error)
        code = code or sender.exitcode or 0

    _run(app, name, *options)
    # Celery does not return its exit code; a service manager would take a crash for success.
    sys.exit(code)


def _code_of(error: Exception) -> Exit:
    explained = explain(error)
    return Exit.CRASHED if explained is None else explained[1]


def _run(app: "Celery", name: str, *options: str) -> None:
    """Run one of Celery's programs, as ``celery --quiet NAME OPTIONS`` does.

    `app.start` would load them all, with a shell: a fifth of a worker's start. It also takes the
    broker's URL and modules to import from BROKER_URL, APP, LOADER and CONFIG_MODULE.
    """
    from celery.bin.base import CLIContext

    # What asks for the current app must not make one: that would read celeryconfig.py.
    app.set_default()
    if name == "worker":
        setattr(import_module("celery.apps.worker"), "safe_say", _say_in_a_signal)  # noqa: B010
        setattr(import_module("celery.bin.worker"), "detach", _refuse_to_detach)  # noqa: B010
    program = getattr(import_module(_PROGRAMS[name]), name)
    # Quiet: its banner does not belong in a log.
    context = CLIContext(app, no_color="NO_COLOR" in os.environ, workdir=None, quiet=True)
    program.main(
        list(options),
        f"cratesort {name}",
        standalone_mode=False,
        obj=context,
        parent=click.Context(click.Command("celery")),  # Flower looks at its options
    )


def _refuse_to_detach(*_: Any, **__: Any) -> None:
    """Replace what starts Celery alone, with a configuration it finds in the current folder."""
    raise click.UsageError("a worker does not detach itself: let a service manager run it")


def _say_in_a_signal(message: str, *_: Any) -> None:
    """Replace what Celery prints of signals: it is no record, and frightens without need."""
    if "Ctrl+C" in message:
        message = "Ctrl-C again ends the worker at once; its batches go back and nothing is lost"
    elif "Warm" in message:
        message = "stopping: running batches are finished first"
    log_from_signal(message)


def _log_start(settings: "Settings", consumer: Any) -> None:
    from importlib.metadata import version

    from db.engine import shown

    log.info(
        "cratesort %s: a worker with %d children serves %s; engine %s, database %s, Redis %s",
        version("cratesort"),
        consumer.controller.concurrency,
        # Those of its roots have a name of two parts.
        ", ".join(queue for queue in consumer.app.amqp.queues.consume_from if "." not in queue),
        settings.engine,
        shown(settings.database),
        consumer.app.connection().as_uri(),
    )
