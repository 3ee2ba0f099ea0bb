"""The task ``tasks.sweep``: run by beat, harmless from several beats at once."""

from workers import child_process
from workers.celery_ext.app import SWEEP_TASK, app
from workers.recovery import ledger_sweep
from workers.settings import load_settings


@app.task(name=SWEEP_TASK)  # type: ignore[untyped-decorator]  # Celery publishes no types
def sweep() -> None:
    """Return batches of dead workers, and publish messages again that Redis lost."""
    ledger_sweep.sweep(app, child_process.database(), load_settings())
