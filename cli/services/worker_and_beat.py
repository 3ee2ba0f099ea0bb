"""``cratesort worker`` and ``beat``: Celery's worker and beat as a fleet needs them."""

import os
from typing import Final

import click

from cli.console.session import opened_database
from cli.services.celery_program import option_values, set_default, start
from cli.services.preflight import require_broker, require_data_folder

#: Connections to the database that each child holds at most, and the supervisor.
_CONNECTIONS_EACH: Final = 2

_PASS_ON: Final = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command(context_settings=_PASS_ON)
@click.argument("celery_options", nargs=-1, type=click.UNPROCESSED)
def worker(celery_options: tuple[str, ...]) -> None:
    """Classify what is in the queue until stopped.

    CELERY_OPTIONS go to Celery's worker: --concurrency 4, --hostname NAME, ...  A worker serves the
    queues interactive, classify and housekeeping unless --queues says otherwise; the first two for
    each library root that is there. With --queues
    interactive it is always free for urgent files (ingest --now); with --queues
    training it is the trainer, which needs the [training] extra. Stop it with SIGTERM or Ctrl-C:
    the current batch is finished first, a training run is interrupted.
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
        # Closed again: the pool's children must not inherit a connection.
        require_connections(database, connections_of(options), "this worker")
    # Two workers of one host must differ, or they answer each other's mail.
    set_default(options, "-n", "--hostname", f"worker-{os.getpid()}@%h")
    from workers.recovery import bootsteps

    classifies = not {CLASSIFY_QUEUE, INTERACTIVE_QUEUE}.isdisjoint(queues)
    bootsteps.install(app, classifies=classifies)
    # Gossip and mingle are for clusters that elect; here they only cost start-up and traffic.
    start("worker", "--without-gossip", "--without-mingle", *options)


@click.command(context_settings=_PASS_ON)
@click.argument("celery_options", nargs=-1, type=click.UNPROCESSED)
def beat(celery_options: tuple[str, ...]) -> None:
    """Send the scheduled tasks: the sweep that recovers lost work.

    One is enough; two are harmless. CELERY_OPTIONS go to Celery's beat.
    """
    require_broker("a beat")
    from workers.celery_ext.app import app

    app.conf.task_send_sent_event = False  # Flower would remember little but sweeps
    start("beat", *celery_options)


def connections_of(options: list[str]) -> int:
    """Return how many connections to the database a worker with these options has at most."""
    most = [*option_values(options, "-c", "--concurrency")]
    most += [value.partition(",")[0] for value in option_values(options, "", "--autoscale")]
    # Celery's default; what is no number it refuses itself.
    children = max((int(text) for text in most if text.isdecimal()), default=os.cpu_count() or 1)
    return _CONNECTIONS_EACH * (children + 1)


def _set_trainer_defaults(options: list[str]) -> None:
    from training.extra import require_training_extra

    require_training_extra()  # now, and not at three in the morning
    set_default(options, "-c", "--concurrency", "1")  # there is one run at a time
    set_default(options, "", "--max-tasks-per-child", "1")  # TensorFlow gives no memory back
