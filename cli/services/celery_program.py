"""Run Celery's programs with the options, logging and exit codes of this project."""

import logging
import os
import sys
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import click

from cli.console.exit_codes import Exit, explain
from cli.console.output import counted
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

#: Loggers that report a failed acknowledgement as critical, with a traceback.
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
    """Add an option with its value to `options` unless the option is there already."""
    if not option_values(options, short, long):
        options += [long, value]


def plain_if_redis_is_away(record: logging.LogRecord) -> bool:
    """Turn an error record into a one-line warning if Redis is unreachable: a logging filter.

    Redis delivers the messages again that could not be acknowledged.
    """
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
    # At each lost connection to Redis, Celery warns about the default of a setting that we set.
    logging.getLogger("py.warnings").addFilter(
        lambda record: "CPendingDeprecationWarning" not in record.getMessage()
    )
    for logger in _LOG_ACKNOWLEDGEMENTS:
        logging.getLogger(logger).addFilter(plain_if_redis_is_away)

    @signals.setup_logging.connect(weak=False)  # type: ignore[untyped-decorator]
    def _(**_: Any) -> None:
        pass  # Celery does not set up logging if this signal has a receiver

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
        # Celery is still handling the error that ended the worker; it would exit with 1 for any.
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
    return Exit.CRASHED if explained is None else explained.exit_code


def _run(app: "Celery", name: str, *options: str) -> None:
    """Run one of Celery's programs, as ``celery --quiet NAME OPTIONS`` does.

    `app.start` is not used: it loads all programs and a shell, which takes a fifth of a worker's
    start-up time. It also reads the broker's URL and modules to import from the environment
    variables BROKER_URL, APP, LOADER and CONFIG_MODULE.
    """
    from celery.bin.base import CLIContext

    # Without a default app Celery would create one, which reads celeryconfig.py.
    app.set_default()
    if name == "worker":
        setattr(import_module("celery.apps.worker"), "safe_say", _log_in_signal)  # noqa: B010
        setattr(import_module("celery.bin.worker"), "detach", _refuse_to_detach)  # noqa: B010
    program = getattr(import_module(_PROGRAMS[name]), name)
    # Quiet: no banner in the log.
    context = CLIContext(app, no_color="NO_COLOR" in os.environ, workdir=None, quiet=True)
    program.main(
        list(options),
        f"cratesort {name}",
        standalone_mode=False,
        obj=context,
        parent=click.Context(click.Command("celery")),  # Flower reads the parent's options
    )


def _refuse_to_detach(*_: Any, **__: Any) -> None:
    """Replace Celery's `detach`: the worker it starts is configured from the current folder."""
    raise click.UsageError("a worker cannot detach itself: use a service manager, such as systemd")


def _log_in_signal(message: str, *_: Any) -> None:
    """Replace Celery's `safe_say`, whose messages about signals bypass logging and alarm users."""
    if "Ctrl+C" in message:
        message = "press Ctrl-C again to stop the worker at once; its batches are requeued"
    elif "Warm" in message:
        message = "stopping after the running batches have finished"
    log_from_signal(message)


def _log_start(settings: "Settings", consumer: Any) -> None:
    from importlib.metadata import version

    from db.engine import shown

    log.info(
        "cratesort %s: started a worker with %s for %s; engine %s, database %s, Redis %s",
        version("cratesort"),
        counted(consumer.controller.concurrency, "child", "children"),
        # Without the queues of single library roots, which have a dot in their names.
        ", ".join(queue for queue in consumer.app.amqp.queues.consume_from if "." not in queue),
        settings.engine,
        shown(settings.database),
        consumer.app.connection().as_uri(),
    )
