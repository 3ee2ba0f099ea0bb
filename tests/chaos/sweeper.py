"""An impatient colleague: one sweep after the other, until killed.

Started as ``python -m tests.chaos.sweeper`` with the settings of the fleet.
"""

import time

from workers.celery_ext.app import app
from workers.context import WorkContext
from workers.errors import is_worlds
from workers.recovery.ledger_sweep import sweep
from workers.settings import load_settings


def main() -> None:
    """Sweep twenty times a second, whatever is away."""
    context = WorkContext.create(load_settings())
    while True:
        try:
            sweep(app, context)
        except Exception as error:
            if not is_worlds(error):
                raise
        time.sleep(0.05)


if __name__ == "__main__":
    main()
