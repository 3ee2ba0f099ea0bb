"""Runs one sweep after the other until killed.

Started as ``python -m tests.chaos.sweeper`` with the settings of the fleet.
"""

import time

from db.engine import create_engine
from workers.celery_ext.app import app
from workers.faults import Fault
from workers.recovery.ledger_sweep import sweep
from workers.settings import load_settings


def main() -> None:
    """Sweep twenty times a second, whatever is away."""
    settings = load_settings()
    database = create_engine(settings.database)
    while True:
        try:
            sweep(app, database, settings)
        except Exception as error:
            if Fault.of(error) is not Fault.TRANSIENT:
                raise
        time.sleep(0.05)


if __name__ == "__main__":
    main()
