"""The task ``tasks.sweep``: run by beat, harmless from several beats at once."""

import logging

from db.errors import plain
from workers import child_process
from workers.celery_ext.app import SWEEP_TASK, app
from workers.faults import Fault
from workers.recovery import ledger_sweep
from workers.settings import load_settings

log = logging.getLogger(__name__)


# No events: 8,640 sweeps a day would displace all other tasks from Flower's history.
@app.task(name=SWEEP_TASK, send_events=False)  # type: ignore[untyped-decorator]  # Celery publishes no types
def sweep() -> None:
    """Requeue batches of dead workers, and publish messages again that Redis lost."""
    try:
        ledger_sweep.sweep(app, child_process.database(), load_settings())
    except Exception as error:
        if Fault.of(error) is not Fault.TRANSIENT:
            raise
        log.warning("the sweep failed: %s; the next one tries again", plain(error))
