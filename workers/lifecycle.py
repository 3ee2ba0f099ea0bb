"""The life of a Celery child: born, it makes its context and loads the model; then it works.

The parent never loads a model: TensorFlow does not survive a fork, and ONNX Runtime's threads would
not either. What is not here: the embedded mode, which has no child (`workers.inprocess`).
"""

import functools
import logging
import os
from typing import Any

from celery import signals

from workers.context import WorkContext
from workers.faults import plain
from workers.settings import load_settings

log = logging.getLogger(__name__)


def context() -> WorkContext:
    """Return this process's context, made at its first use and never inherited over a fork."""
    return _context_of(os.getpid())


@functools.lru_cache(maxsize=1)
def _context_of(_pid: int) -> WorkContext:
    return WorkContext.create(load_settings())


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def load_model_at_birth(**_: Any) -> None:
    """Load the model before the first message arrives.

    A failure here is not final (the database may be away for a moment): it is logged, and the
    first batch tries again and fails loudly if it must.
    """
    try:
        here = context()
        here.predictor.current(here.database)
    except Exception as error:
        log.warning("the model could not be loaded yet: %s", plain(error))


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]  # Celery has no types
def close_connections(**_: Any) -> None:
    """Return the child's connections; the kernel would, but Postgres would log it."""
    context().database.dispose()
