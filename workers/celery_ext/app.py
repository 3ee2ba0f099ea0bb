"""The Celery app and its configuration: every setting that delivery depends on, with its reason.

No setting of Celery on Redis is lossless: kombu removes a message from its list before it records
that it has it. So the database is the queue of record, and Redis only wakes workers up. The
settings below bound redelivery, make publishing fail fast, and keep acknowledgements truthful.
"""

import importlib
from types import ModuleType
from typing import Any, Final

from billiard.common import terminate_handler_fired
from celery import Celery, Task
from celery.exceptions import Retry
from celery.loaders.app import AppLoader
from kombu.entity import Exchange, Queue

from workers.broker_url import TCP_OPTIONS, parse_broker_url
from workers.celery_ext import redis_transport
from workers.errors import TaskFailedError
from workers.settings import Settings, load_settings
from workers.training_schedule import parse_schedule

#: Imported by a worker, never by this module: workers must not depend on tasks.
TASK_MODULES: Final = ("tasks.classify", "tasks.sweep", "tasks.retrain")

#: A worker that serves this queue takes batches from the queues of its library roots (`queue_of`).
#: This queue itself only has messages of an earlier version.
CLASSIFY_QUEUE: Final = "classify"
#: The same for batches that a user waits for; workers may serve this queue alone.
INTERACTIVE_QUEUE: Final = "interactive"
HOUSEKEEPING_QUEUE: Final = "housekeeping"
TRAINING_QUEUE: Final = "training"
CLASSIFY_TASK: Final = "tasks.classify"
SWEEP_TASK: Final = "tasks.sweep"
RETRAIN_TASK: Final = "tasks.retrain"

#: A retrain message expires after this: a trainer that was not running waits for the next one.
RETRAIN_EXPIRES_SECONDS: Final = 3600

#: Message priorities: the lowest is delivered first, across all queues of a worker.
FIRST_PRIORITY: Final = 0
BULK_PRIORITY: Final = 3

#: After this an unacknowledged message is delivered again. Longer than a lease plus the stale time,
#: so that the ledger requeues the batch first. If it were shorter than a task, copies of the task
#: would run concurrently.
VISIBILITY_TIMEOUT_SECONDS: Final = 900


class LimitedTask(Task):  # type: ignore[misc]  # Celery publishes no types
    """Base class of every task: neither a message nor an error of a task can end the worker.

    `message_validation` checks the messages.
    """

    Request = "workers.celery_ext.message_validation:LimitedRequest"
    Strategy = "workers.celery_ext.message_validation:strict_strategy"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task in a child; the parent gets every error as a short text.

        Celery treats some errors specially in the parent: a MemoryError ends the worker, a
        SystemExit looks like a child that died, Reject requeues the message. Other errors cannot be
        unpickled there, which also ends the worker, or contain all rows of a statement.
        """
        try:
            return self.run(*args, **kwargs)
        except (Retry, *self.throws):
            raise
        except BaseException as error:
            if terminate_handler_fired():
                raise  # this child received a request to stop
            raise TaskFailedError.of(error) from error


class _Loader(AppLoader):  # type: ignore[misc]  # Celery publishes no types
    """Imports installed modules; Celery's own loader searches the current folder first."""

    def import_from_cwd(self, module: str, imp: Any = None, package: Any = None) -> ModuleType:  # noqa: ARG002
        """Import a module; the method's name is Celery's."""
        return importlib.import_module(module, package)

    def read_configuration(self, env: str = "") -> None:
        """Ignore the module that CELERY_CONFIG_MODULE names."""


class _App(Celery):  # type: ignore[misc]  # Celery publishes no types
    """Celery's app, configured by our settings alone.

    In Celery's own app, CELERY_BROKER_URL, CELERY_BROKER_READ_URL, CELERY_BROKER_WRITE_URL and
    CELERY_RESULT_BACKEND override the configuration.
    """

    backend_cls = "disabled"

    def _connection(self, _url: str | None, **options: Any) -> Any:
        return super()._connection(self.conf.first("broker_url"), **options)


def queue_of(root: str, *, interactive: bool = False) -> Queue:
    """Return the queue of a library root's batches; only workers that have the root serve it."""
    return _queue(f"{INTERACTIVE_QUEUE if interactive else CLASSIFY_QUEUE}.{root}")


def build_app(settings: Settings) -> Celery:
    """Return the app for these settings; without a broker it only defines tasks."""
    redis_transport.install()
    app = _App(
        "cratesort",
        loader=_Loader,  # CELERY_LOADER would name another one
        fixups=[],  # Celery's own is Django's, which adds the current folder to sys.path
        task_cls=LimitedTask,
        include=TASK_MODULES,
        set_as_current=False,
    )
    app.conf.update(configuration(settings))
    if settings.broker_url is not None:
        broker = parse_broker_url(settings.broker_url.get_secret_value())
        app.conf.update(broker.celery_settings(app.conf.broker_transport_options))
    return app


def configuration(settings: Settings) -> dict[str, Any]:
    """Return Celery's configuration, without the broker's URL."""
    return {
        # -- when a message is acknowledged ----------------------------------------------------
        # Late: a message that was acknowledged early is lost when its child is killed.
        "task_acks_late": True,
        # With True a file that crashes its child was delivered again 20 times in 30 s. The ledger
        # requeues the batch instead, and counts attempts.
        "task_reject_on_worker_lost": False,
        # With False a task that times out is repeated without end; one that raises is dropped
        # anyway.
        "task_acks_on_failure_or_timeout": True,
        # -- the pool --------------------------------------------------------------------------
        # Prefork: threads ignore time limits, and one abort in libsndfile ends them all.
        "worker_pool": "prefork",
        # One message a child: a second would wait for a slow batch while others idle.
        "worker_prefetch_multiplier": 1,
        # Always set; LimitedRequest ignores a limit in the message.
        "task_time_limit": settings.time_limit_seconds,
        # The default of 4 s kills children that are still loading their model.
        "worker_proc_alive_timeout": 60,
        # With True the batch in progress was lost when Redis died with its data.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # Without a result backend this loses redeliveries instead of deduplicating them.
        "worker_deduplicate_successful_tasks": False,
        # -- Redis -----------------------------------------------------------------------------
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
            # Timed-out messages are looked for every 10 s; by default that took 99 s.
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            # A worker that died holding the restore lock blocks the others 30 s, not 300.
            "unacked_mutex_expire": 30,
            # Publishing to a frozen Redis fails after 5 s; without these it blocked over 30.
            "socket_timeout": 5,
            "socket_connect_timeout": 3,
            # A connection is replaced if a BRPOP of 1 s stays unanswered for this much longer.
            # Checked every 5 s, and before a command on a connection that was idle as long.
            "health_check_interval": 5,
            "socket_keepalive": True,
            "socket_keepalive_options": TCP_OPTIONS,
            # No retries inside a publish: the ledger has the work, and a sweep publishes it.
            "max_retries": 0,
            # Batches of dead workers and interactive batches go before the rest. kombu keeps a
            # Redis list for each priority; the second is called ``classify.ROOT:3``.
            "priority_steps": [FIRST_PRIORITY, BULK_PRIORITY],
            "sep": ":",
        },
        # For ever: by default the worker exits after some 46 minutes.
        "broker_connection_max_retries": None,
        "broker_connection_retry_on_startup": True,
        # Publishing must fail at once if Redis is unreachable; the ledger has the work already.
        "task_publish_retry": False,
        # -- messages --------------------------------------------------------------------------
        # JSON, because pickle runs code. Results are rows in the database.
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "result_backend": None,
        "task_default_queue": CLASSIFY_QUEUE,
        "task_create_missing_queues": False,
        "task_queues": [
            _queue(name)
            for name in (CLASSIFY_QUEUE, INTERACTIVE_QUEUE, HOUSEKEEPING_QUEUE, TRAINING_QUEUE)
        ]
        + [
            queue_of(root, interactive=interactive)
            for root in settings.library_roots
            for interactive in (True, False)
        ],
        "task_routes": {
            CLASSIFY_TASK: {"queue": CLASSIFY_QUEUE},
            SWEEP_TASK: {"queue": HOUSEKEEPING_QUEUE},
            RETRAIN_TASK: {"queue": TRAINING_QUEUE},
        },
        # -- watching --------------------------------------------------------------------------
        # With remote control a message could stop the worker, or let its pool grow without bound.
        # To enable it, start a worker with ``worker.enable_remote_control=true``.
        "worker_enable_remote_control": False,
        # Without these Flower and exporters see nothing.
        "worker_send_task_events": True,
        "task_send_sent_event": True,
        "task_track_started": True,
        "worker_hijack_root_logger": False,
        # -- beat ------------------------------------------------------------------------------
        "timezone": "UTC",
        # Also used within a worker (``--beat``). Celery's own scheduler unpickles a file of the
        # current folder.
        "beat_scheduler": "workers.celery_ext.beat_scheduler:QuietScheduler",
        "beat_schedule": _beat_schedule(settings),
    }


def _beat_schedule(settings: Settings) -> dict[str, Any]:
    entries: dict[str, Any] = {
        "sweep": {
            "task": SWEEP_TASK,
            "schedule": settings.sweep_seconds,
            # Sweeps must not pile up while no worker runs.
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
