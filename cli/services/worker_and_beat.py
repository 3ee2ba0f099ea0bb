"""``cratesort worker`` and ``beat``: the processes an operator runs."""

import logging
import os
import sys
import tempfile
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import click

from classifier.errors import CratesortError
from cli.console.exit_codes import Exit
from cli.console.session import opened_database
from workers.logging_setup import set_up_logging

if TYPE_CHECKING:
    from celery import Celery

    from workers.settings import Settings

log = logging.getLogger(__name__)

_OF_CELERY_ITSELF: Final = ("worker", "beat")

_PASS_ON: Final = {"ignore_unknown_options": True, "allow_interspersed_args": False}


class NoBrokerError(CratesortError):
    """A service that needs Redis was started without one being configured."""


class DataFolderError(CratesortError):
    """A worker was started where it cannot leave its notes."""


def start(arguments: list[str]) -> None:
    """Run a Celery program after checking what it needs, so that a mistake is one line."""
    from celery import signals

    from workers.celery_ext.app import app
    from workers.settings import load_settings

    settings = load_settings()

    set_up_logging(settings.log_level, settings.log_format)

    @signals.setup_logging.connect(weak=False)  # type: ignore[untyped-decorator]
    def _(**_: Any) -> None:
        pass  # who answers this signal has seen to it, and Celery leaves logging alone

    @signals.worker_ready.connect(weak=False)  # type: ignore[untyped-decorator]
    def _(sender: Any, **_: Any) -> None:
        _say_what_runs(settings, sender)

    ended = 0

    @signals.worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator]
    def _(sig: str, **_: Any) -> None:
        nonlocal ended
        ended = Exit.INTERRUPTED if sig == "SIGINT" else ended

    @signals.worker_shutdown.connect(weak=False)  # type: ignore[untyped-decorator]
    def _(sender: Any, **_: Any) -> None:
        nonlocal ended
        ended = ended or sender.exitcode or 0

    _run(app, *arguments)
    # Celery keeps the code to itself; a service manager would take a crash for success.
    sys.exit(ended)


def _run(app: "Celery", name: str, *options: str) -> None:
    """Run one of Celery's programs, as ``celery --quiet NAME OPTIONS`` does."""
    # Quiet: its banner tells of Celery, and of nothing that is asked of a log.
    if name not in _OF_CELERY_ITSELF:
        app.start(["--quiet", name, *options])
        return
    # That loads all programs there are, with a shell and Flower: a fifth of a worker's start.
    from celery.bin.base import CLIContext

    program = getattr(import_module(f"celery.bin.{name}"), name)
    context = CLIContext(app, no_color="NO_COLOR" in os.environ, workdir=None, quiet=True)
    program.main(list(options), f"cratesort {name}", standalone_mode=False, obj=context)


def _say_what_runs(settings: "Settings", consumer: Any) -> None:
    from importlib.metadata import version

    from db.engine import shown

    log.info(
        "cratesort %s: a worker with %d children serves %s; engine %s, database %s, Redis %s",
        version("cratesort"),
        consumer.controller.concurrency,
        ", ".join(consumer.app.amqp.queues.consume_from),
        settings.engine,
        shown(settings.database),
        consumer.app.connection().as_uri(),
    )


def broker_url_for(service: str) -> str:
    """Return the URL of Redis, with its password.

    Raises
    ------
    NoBrokerError
        None is configured.
    """
    from workers.settings import load_settings

    url = load_settings().broker_url
    if url is None:
        raise NoBrokerError(
            f"{service} takes its work from Redis: set CRATESORT_BROKER_URL "
            "(redis://:password@host:6379/0). Without it `cratesort ingest` classifies in its "
            "own process and needs no other."
        )
    return url.get_secret_value()


def require_broker(service: str) -> None:
    """Check that Redis is configured and, if it answers, lets us in.

    Raises
    ------
    NoBrokerError
        None is configured.
    redis.exceptions.AuthenticationError
        Another password is wanted; waiting would not mend that.
    """
    import redis.exceptions

    try:
        _ping(broker_url_for(service))
    except redis.exceptions.AuthenticationError:
        raise
    except redis.exceptions.RedisError:
        pass  # Redis may come later than its workers; Celery waits for it


def _ping(url: str) -> None:
    from redis import Redis

    with Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
        client.ping()


def _require_data_folder() -> None:
    """Check that children will be able to keep their notes; each would fail at its first batch."""
    from workers.settings import load_settings

    folder = load_settings().running_folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
    except OSError as error:
        raise DataFolderError(
            f"the data folder cannot be written ({folder}: {error.strerror}), and workers note "
            "there which file they read: set CRATESORT_DATA_FOLDER to one that can"
        ) from error


@click.command(context_settings=_PASS_ON)
@click.argument("celery_options", nargs=-1, type=click.UNPROCESSED)
def worker(celery_options: tuple[str, ...]) -> None:
    """Classify what is in the queue, until told to stop.

    CELERY_OPTIONS go to Celery's worker: --concurrency 4, --hostname NAME, ...  A worker serves the
    queues interactive, classify and housekeeping unless --queues says otherwise. With --queues
    interactive it is always free for files that somebody waits for (ingest --now); with --queues
    training it is the trainer, which needs the [training] extra. Stop it with SIGTERM or Ctrl-C:
    the batch in hand is finished first, a training run is interrupted.
    """
    require_broker("a worker")
    _require_data_folder()
    with opened_database():
        pass  # checked, and closed: the pool's children must not inherit a connection
    from workers.celery_ext.app import (
        CLASSIFY_QUEUE,
        HOUSEKEEPING_QUEUE,
        INTERACTIVE_QUEUE,
        TRAINING_QUEUE,
    )

    options = list(celery_options)
    queues = _values(options, "-Q", "--queues")
    if not queues:
        options += ["--queues", ",".join((INTERACTIVE_QUEUE, CLASSIFY_QUEUE, HOUSEKEEPING_QUEUE))]
    if TRAINING_QUEUE in ",".join(queues).split(","):
        options += _trainers_options(options)
    if not _names(options, "-n", "--hostname"):
        # Two workers of one host must differ, or they answer each other's mail.
        options += ["--hostname", f"worker-{os.getpid()}@%h"]
    from workers.celery_ext.app import app
    from workers.recovery import bootsteps

    bootsteps.install(app)
    # Gossip and mingle are for clusters that elect; here they only cost start-up and traffic.
    start(["worker", "--without-gossip", "--without-mingle", *options])


@click.command(context_settings=_PASS_ON)
@click.argument("celery_options", nargs=-1, type=click.UNPROCESSED)
def beat(celery_options: tuple[str, ...]) -> None:
    """Send the scheduled tasks: the sweep that recovers lost work.

    One is enough; two are harmless. CELERY_OPTIONS go to Celery's beat.
    """
    require_broker("a beat")
    options = list(celery_options)
    if not _names(options, "-S", "--scheduler"):
        # In memory. Celery's default keeps a file, which two beats of one host destroy for each
        # other; there is nothing in it that a sweep every few seconds would need after a restart.
        options += ["--scheduler", "celery.beat:Scheduler"]
    start(["beat", *options])


def _trainers_options(options: list[str]) -> list[str]:
    """Return what a trainer is given besides; it is refused where it could not train."""
    from training.extra import require_training_extra

    require_training_extra()  # now, and not at three in the morning
    more = []
    if not _names(options, "-c", "--concurrency"):
        more += ["--concurrency", "1"]  # there is one run at a time
    if not _names(options, "", "--max-tasks-per-child"):
        more += ["--max-tasks-per-child", "1"]  # TensorFlow gives no memory back
    return more


def _names(options: list[str], short: str, long: str) -> bool:
    return bool(_values(options, short, long))


def _values(options: list[str], short: str, long: str) -> list[str]:
    """Return what an option is given, however it is spelt: ``-Q a``, ``-Qa``, ``--queues=a``."""
    values = []
    for option, following in pairwise([*options, ""]):
        if option in (short, long):
            values.append(following)
        elif option.startswith(f"{long}="):
            values.append(option.removeprefix(f"{long}="))
        elif short and option.startswith(short) and not option.startswith("--"):
            values.append(option.removeprefix(short))
    return values
