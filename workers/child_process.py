"""A Celery child: it creates its context and loads the model before its first task.

The parent never loads a model: neither TensorFlow nor ONNX Runtime's threads survive a fork.
"""

import contextlib
import functools
import logging
import os
import time
from typing import Any, Final

from billiard.common import terminate_handler_fired
from celery import signals
from sqlalchemy import Engine

from db.engine import COMMAND, SERVICE, create_engine
from db.errors import is_unreachable, plain
from workers.celery_ext.app import CLASSIFY_QUEUE, INTERACTIVE_QUEUE, TRAINING_QUEUE, app
from workers.context import WorkContext
from workers.errors import DataFolderError, LibraryRootAwayError
from workers.memory import collect_garbage_rarely, memory_limit
from workers.recovery.shared_health import shared_health
from workers.settings import load_settings

log = logging.getLogger(__name__)

#: Longer than the parent takes to notice that the database is unreachable.
_PATIENCE_SECONDS: Final = 1.0
#: How long the sounds of a root that seems unavailable are left to other workers.
_ROOT_SECONDS: Final = 10.0

#: The queues the worker was started for; its children inherit them. Celery's own list is empty
#: while the database is unreachable, and a child may be forked then.
_served: Final[set[str]] = set()


@signals.worker_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def remember_queues(**_: Any) -> None:
    """Remember, in the parent, the queues that its children serve."""
    _served.update(app.amqp.queues.consume_from)
    if _classifies():
        # The supervisor logs how each child ended, and what happens to its batch.
        logging.getLogger("multiprocessing").addFilter(_is_not_about_child_exit)


def database() -> Engine:
    """Return this process's database engine, created at its first use."""
    return _database_of(os.getpid())


def context() -> WorkContext:
    """Return what this process classifies with, created at its first use.

    Raises DataFolderError when the data folder cannot be written; each call tries again.
    """
    return _context_of(os.getpid())


def database_answers() -> bool:
    """Whether the database answers; waits a moment for it.

    The parent takes no messages while the database is unreachable. It may have taken some before it
    noticed.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not shared_health().database.is_up:
        if time.monotonic() > deadline:
            return False
        time.sleep(_PATIENCE_SECONDS / 10)
    return True


def has_root(root: str) -> bool:
    """Whether the library root that a message names is there on this host."""
    return any(health.is_up for name, health in shared_health().roots.items() if name == root)


def report(error: Exception, root: str) -> None:
    """Report that the database or a root is unavailable: the parent takes no messages for it."""
    if is_unreachable(error):
        shared_health().database.report_down()
    elif isinstance(error, LibraryRootAwayError) and has_root(root):
        shared_health().roots[root].report_down_for(_ROOT_SECONDS)


def _is_not_about_child_exit(record: logging.LogRecord) -> bool:
    return record.msg != "Process %r pid:%r exited with %r"


def _classifies() -> bool:
    return not _served.isdisjoint((CLASSIFY_QUEUE, INTERACTIVE_QUEUE))


# Cached by process id: a forked process must not use inherited connections.
@functools.lru_cache(maxsize=1)
def _database_of(_pid: int) -> Engine:
    # A training run reads large tables.
    patience = COMMAND if TRAINING_QUEUE in _served else SERVICE
    return create_engine(load_settings().database, patience)


@functools.lru_cache(maxsize=1)
def _context_of(pid: int) -> WorkContext:
    settings = load_settings()
    # Limited for the default engine only: TensorFlow keeps reserving memory and would fail later.
    limited = functools.partial(memory_limit, settings.child_memory_mebibytes)
    is_limited = settings.engine == "onnx" and TRAINING_QUEUE not in _served
    try:
        return WorkContext.create(
            settings,
            _database_of(pid),
            time_limit_seconds=settings.time_limit_seconds,
            loading=limited if is_limited else contextlib.nullcontext,
            is_stopping=terminate_handler_fired,
        )
    except OSError as error:
        raise DataFolderError(
            f"the data folder {settings.data_folder} cannot be written: {error.strerror}"
        ) from error


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def load_model_at_start(**_: Any) -> None:
    """Load the model before the first message arrives, in a child that classifies.

    A failure is only logged (the database may be unreachable for a moment): the first batch tries
    again. A trainer must not have a crash marker: the supervisor kills processes with a marker that
    exceed a batch's time limit.
    """
    if not _classifies():
        return
    try:
        context().model.current(database())
    except Exception as error:
        log.warning("loading the model failed: %s; the first batch tries again", plain(error))
    collect_garbage_rarely()


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]  # Celery has no types
def close_connections(**_: Any) -> None:
    """Close the child's connections; PostgreSQL logs connections that are not closed."""
    database().dispose()
    if _classifies():
        with contextlib.suppress(DataFolderError):  # then there is no marker
            context().marker.close()
