"""The task ``tasks.sweep``: run by beat, harmless from several beats at once."""

from workers import housekeeping, lifecycle
from workers.app import SWEEP_TASK, app


@app.task(name=SWEEP_TASK)  # type: ignore[untyped-decorator]  # Celery publishes no types
def sweep() -> None:
    """Return what silent workers held, and publish what Redis lost."""
    housekeeping.sweep(app, lifecycle.context())
