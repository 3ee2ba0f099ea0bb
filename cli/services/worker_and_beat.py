"""``cratesort worker`` and ``beat``: Celery's worker and beat, configured for a fleet."""

import os
from typing import Final

import click

from cli.console.session import opened_database
from cli.services.celery_program import option_values, set_default, start
from cli.services.preflight import require_broker, require_data_folder

#: The most database connections that the supervisor and each child hold.
_CONNECTIONS_EACH: Final = 2

_PASS_ON: Final = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command(context_settings=_PASS_ON)
@click.argument("celery_options", nargs=-1, type=click.UNPROCESSED)
def worker(celery_options: tuple[str, ...]) -> None:
    """Run a worker that classifies queued files until stopped.

    CELERY_OPTIONS are passed to Celery's worker: --concurrency 4, --hostname NAME, ...  By default
    a worker serves the queues interactive, classify and housekeeping, the first two for each
    library root that is available. With --queues interactive it serves only urgent files (ingest
    --now); with --queues training it is the trainer, which requires the [training] extra. Stop it
    with SIGTERM or Ctrl-C: it finishes the current batch first, but interrupts a training run.
    """
    require_broker("a worker")
    require_data_folder()
    from db.prerequisites import require_connections
    from workers.celery_ext.app import (
        CLASSIFY_QUEUE,
        HOUSEKEEPING_QUEUE,
        INTERACTIVE_QUEUE,
        TRAINING_QUEUE,
        app,
    )

    options = list(celery_options)
    default_queues = (INTERACTIVE_QUEUE, CLASSIFY_QUEUE, HOUSEKEEPING_QUEUE)
    set_default(options, "-Q", "--queues", ",".join(default_queues))
    queues = ",".join(option_values(options, "-Q", "--queues")).split(",")
    if TRAINING_QUEUE in queues:
        _set_trainer_defaults(options)
    with opened_database() as (_, database):
        # In a block of its own: the pool's children must not inherit an open connection.
        require_connections(database, connections_of(options), "this worker")
    # Workers of one host need different names, or they receive each other's control messages.
    set_default(options, "-n", "--hostname", f"worker-{os.getpid()}@%h")
    from workers.recovery import bootsteps

    classifies = not {CLASSIFY_QUEUE, INTERACTIVE_QUEUE}.isdisjoint(queues)
    bootsteps.install(app, classifies=classifies)
    # Gossip and mingle synchronise workers, which is not needed here: they cost time and traffic.
    start("worker", "--without-gossip", "--without-mingle", *options)


@click.command(context_settings=_PASS_ON)
@click.argument("celery_options", nargs=-1, type=click.UNPROCESSED)
def beat(celery_options: tuple[str, ...]) -> None:
    """Run the scheduler of periodic tasks, Celery's beat.

    Its tasks recover lost work and start the scheduled retraining. One is enough; a second does no
    harm. CELERY_OPTIONS are passed to Celery's beat.
    """
    require_broker("a beat")
    from workers.celery_ext.app import app

    app.conf.task_send_sent_event = False  # sent sweeps would fill Flower's history
    start("beat", *celery_options)


def connections_of(options: list[str]) -> int:
    """Return the most database connections that a worker with these options holds."""
    most = [*option_values(options, "-c", "--concurrency")]
    most += [value.partition(",")[0] for value in option_values(options, "", "--autoscale")]
    # Celery's default is one child per CPU. Celery itself refuses a value that is not a number.
    children = max((int(text) for text in most if text.isdecimal()), default=os.cpu_count() or 1)
    return _CONNECTIONS_EACH * (children + 1)


def _set_trainer_defaults(options: list[str]) -> None:
    from training.extra import require_training_extra

    require_training_extra()  # fail now, not at the first scheduled run
    set_default(options, "-c", "--concurrency", "1")  # there is one run at a time
    set_default(options, "", "--max-tasks-per-child", "1")  # TensorFlow does not release memory
