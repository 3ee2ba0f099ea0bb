"""The task ``tasks.sweep``: run by beat, harmless from several beats at once."""

from workers import child_process
from workers.celery_ext.app import SWEEP_TASK, app
from workers.recovery import ledger_sweep


@app.task(name=SWEEP_TASK)  # type: ignore[untyped-decorator]  # Celery publishes no types
def sweep() -> None:
    """Return what silent workers held, and publish what Redis lost."""
    ledger_sweep.sweep(app, child_process.context())
