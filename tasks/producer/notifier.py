"""Publishing pending batches, until Redis fails."""

from typing import TYPE_CHECKING

from sqlalchemy import Engine

from db.engine import reading
from db.queue import ledger
from workers.settings import Settings

if TYPE_CHECKING:
    from celery import Celery


class Notifier:
    """Wakes the workers up when the ledger has work."""

    def __init__(self, settings: Settings, database: Engine) -> None:
        self._settings = settings
        self._database = database
        self._app: Celery | None = None
        self._broker_away: str | None = None

    def notify(self) -> str | None:
        """Publish pending batches; return the reason if Redis failed, else None.

        After a failure Redis is not tried again: each try may take seconds, and a sweep publishes
        the pending batches later.
        """
        if self._settings.in_process or self._broker_away is not None:
            return self._broker_away
        if self._app is None:
            with reading(self._database) as connection:
                if not ledger.has_pending(connection):
                    return None
            # Loaded only now: Celery takes a third of a second, and is not needed without work.
            from workers.celery_ext.app import build_app

            self._app = build_app(self._settings)
        from workers.celery_ext.dispatch import dispatch

        self._broker_away = dispatch(self._app, self._database, self._settings).broker_away
        return self._broker_away
