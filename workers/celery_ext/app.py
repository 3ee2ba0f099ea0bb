"""The Celery app and its configuration: every setting that delivery depends on, with its reason.

No setting of Celery on Redis is lossless by itself: kombu takes a message off its list and only
then notes that it has it. So the ledger in the database is the record and Redis a doorbell; what
follows keeps the doorbell from ringing for ever, from blocking, and from lying.
"""

from typing import Any, Final

from celery import Celery, Task
from kombu.entity import Exchange, Queue

from workers.celery_ext import redis_transport
from workers.settings import Settings, load_settings
from workers.training_schedule import parse_schedule

#: Imported by a worker, never by this module: workers must not depend on tasks.
TASK_MODULES: Final = ("tasks.classify", "tasks.sweep", "tasks.retrain")

CLASSIFY_QUEUE: Final = "classify"
#: Batches that somebody waits for; a worker that serves nothing else is free for them at once.
INTERACTIVE_QUEUE: Final = "interactive"
HOUSEKEEPING_QUEUE: Final = "housekeeping"
TRAINING_QUEUE: Final = "training"
CLASSIFY_TASK: Final = "tasks.classify"
SWEEP_TASK: Final = "tasks.sweep"
RETRAIN_TASK: Final = "tasks.retrain"

#: A trainer that was away for longer waits for the schedule's next moment.
RETRAIN_EXPIRES_SECONDS: Final = 3600

#: In Redis, less is sooner, across all queues of a worker.
FIRST_PRIORITY: Final = 0
BULK_PRIORITY: Final = 3

#: Seconds after which Redis hands an unacknowledged message to another worker. Longer than a lease
#: plus the stale time, so that the ledger is always first to decide; shorter makes live copies.
VISIBILITY_TIMEOUT_SECONDS: Final = 900


class LimitedTask(Task):  # type: ignore[misc]  # Celery publishes no types
    """Base of every task: no message can harm the worker (see `message_validation`)."""

    Request = "workers.celery_ext.message_validation:LimitedRequest"
    Strategy = "workers.celery_ext.message_validation:strict_strategy"


def build_app(settings: Settings) -> Celery:
    """Return the app for these settings.

    Parameters
    ----------
    settings : Settings
        Without a broker the app publishes nowhere; it exists so that tasks can be defined.
    """
    redis_transport.install()
    app = Celery("cratesort", task_cls=LimitedTask, include=TASK_MODULES, set_as_current=False)
    app.conf.update(configuration(settings))
    if settings.broker_url is not None:
        app.conf.broker_url = settings.broker_url.get_secret_value()
    return app


def configuration(settings: Settings) -> dict[str, Any]:
    """Return Celery's configuration, without the broker's URL."""
    return {
        # -- when a message is acknowledged ----------------------------------------------------
        # Late: a message acknowledged early is gone with the child that was killed on it.
        "task_acks_late": True,
        # False: with True a file that kills its child came back 20 times in 30 s. Returning work
        # is the lease's job, and the lease counts.
        "task_reject_on_worker_lost": False,
        # True: with False a time-out loops, and a plain exception is dropped all the same.
        "task_acks_on_failure_or_timeout": True,
        # -- the pool --------------------------------------------------------------------------
        # Prefork: threads ignore time limits, and one abort in libsndfile ends them all.
        "worker_pool": "prefork",
        # One message a child: a second one would wait behind a slow batch while others idle.
        "worker_prefetch_multiplier": 1,
        # Always set; LimitedRequest ignores what a message asks for.
        "task_time_limit": settings.time_limit_seconds,
        # The default of 4 s kills children that are still loading their model.
        "worker_proc_alive_timeout": 60,
        # False: with True the batch in hand was lost when Redis died with its data.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # Without a result backend this loses redeliveries instead of deduplicating them.
        "worker_deduplicate_successful_tasks": False,
        # -- Redis -----------------------------------------------------------------------------
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
            # A message that timed out is looked for every 10 s, not after 99.
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            # A worker that died holding the restore lock blocks the others 30 s, not 300.
            "unacked_mutex_expire": 30,
            # Publishing to a frozen Redis fails after 5 s; without these it blocked over 30.
            "socket_timeout": 5,
            "socket_connect_timeout": 3,
            "health_check_interval": 10,
            "socket_keepalive": True,
            # Connecting is not tried again inside a publish (kombu's default: 0, 2 and 4 s later):
            # the ledger has the work, and the sweep will publish it.
            "max_retries": 0,
            # What came back from a dead worker has waited once, and for what is interactive
            # somebody waits: both go before the rest. Redis has
            # no priorities; kombu keeps a list for each, and this is how the second is called.
            "priority_steps": [FIRST_PRIORITY, BULK_PRIORITY],
            "sep": ":",
        },
        # None: for ever. The default gives up after some 46 minutes and the worker exits.
        "broker_connection_max_retries": None,
        "broker_connection_retry_on_startup": True,
        # A producer must hear at once that Redis is away; the ledger has the work already.
        "task_publish_retry": False,
        # -- what a message may be -------------------------------------------------------------
        # Pickle runs code. Results belong in the database, where they are one per file.
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "result_backend": None,
        "task_default_queue": CLASSIFY_QUEUE,
        "task_create_missing_queues": False,
        "task_queues": [
            _queue(name)
            for name in (CLASSIFY_QUEUE, INTERACTIVE_QUEUE, HOUSEKEEPING_QUEUE, TRAINING_QUEUE)
        ],
        "task_routes": {
            CLASSIFY_TASK: {"queue": CLASSIFY_QUEUE},
            SWEEP_TASK: {"queue": HOUSEKEEPING_QUEUE},
            RETRAIN_TASK: {"queue": TRAINING_QUEUE},
        },
        # -- watching --------------------------------------------------------------------------
        # Without these Flower and exporters see nothing.
        "worker_send_task_events": True,
        "task_send_sent_event": True,
        "task_track_started": True,
        "worker_hijack_root_logger": False,
        # -- beat ------------------------------------------------------------------------------
        "timezone": "UTC",
        "beat_schedule": _beat_schedule(settings),
    }


def _beat_schedule(settings: Settings) -> dict[str, Any]:
    entries: dict[str, Any] = {
        "sweep": {
            "task": SWEEP_TASK,
            "schedule": settings.sweep_seconds,
            # Sweeps that nobody took must not pile up behind a worker that was away.
            "options": {"expires": settings.sweep_seconds, "queue": HOUSEKEEPING_QUEUE},
        }
    }
    schedule = parse_schedule(settings.training_schedule)
    if schedule is not None:
        entries["retrain"] = {
            "task": RETRAIN_TASK,
            "schedule": schedule,
            "options": {"expires": RETRAIN_EXPIRES_SECONDS, "queue": TRAINING_QUEUE},
        }
    return entries


def _queue(name: str) -> Queue:
    exchange = Exchange(name, type="direct")  # type: ignore[no-untyped-call]  # kombu's is untyped
    return Queue(name, exchange, routing_key=name)  # type: ignore[no-untyped-call]


app: Final = build_app(load_settings())
