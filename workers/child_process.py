"""The life of a Celery child: born, it makes its context and loads the model; then it works.

The parent never loads a model: TensorFlow does not survive a fork, and ONNX Runtime's threads would
not either.
"""

import contextlib
import functools
import logging
import os
from typing import Any, Final

from celery import signals

from db.errors import plain
from workers.celery_ext.app import CLASSIFY_QUEUE, INTERACTIVE_QUEUE, TRAINING_QUEUE, app
from workers.context import WorkContext
from workers.memory import collect_garbage_rarely, memory_limit
from workers.settings import load_settings

log = logging.getLogger(__name__)

#: The queues the worker was started for, as its children inherit them. Not Celery's own list: that
#: is empty while the worker holds, and a child may be born then.
_served: Final[set[str]] = set()


@signals.worker_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def remember_queues(**_: Any) -> None:
    """Remember, in the parent, what its children will be asked to do."""
    _served.update(app.amqp.queues.consume_from)


def context() -> WorkContext:
    """Return this process's context, made at its first use and never inherited over a fork."""
    return _context_of(os.getpid())


def _classifies() -> bool:
    return not _served.isdisjoint((CLASSIFY_QUEUE, INTERACTIVE_QUEUE))


@functools.lru_cache(maxsize=1)
def _context_of(_pid: int) -> WorkContext:
    settings = load_settings()
    # Without the default engine no limit: TensorFlow reserves as it goes and would end in mid-work.
    limited = functools.partial(memory_limit, settings.child_memory_mebibytes)
    is_limited = settings.engine == "onnx" and TRAINING_QUEUE not in _served
    return WorkContext.create(
        settings,
        # A trainer keeps no note: the supervisor ends those who do, and whoever trains is not to be
        # killed for time, nor before it has closed its run.
        reads=_classifies(),
        time_limit_seconds=settings.time_limit_seconds,
        loading=limited if is_limited else contextlib.nullcontext,
    )


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def load_model_at_birth(**_: Any) -> None:
    """Load the model before the first message arrives; a trainer has no use for it.

    A failure here is not final (the database may be away for a moment): it is logged, and the
    first batch tries again and fails loudly if it must.
    """
    here = context()
    if not _classifies():
        return
    try:
        here.model.current(here.database)
    except Exception as error:
        log.warning("the model could not be loaded yet: %s", plain(error))
    collect_garbage_rarely()


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]  # Celery has no types
def close_connections(**_: Any) -> None:
    """Return the child's connections; the kernel would, but Postgres would log it."""
    context().close()
