"""Beat's scheduler while Redis is away."""

import logging

from kombu.utils.imports import symbol_by_name
from pydantic import SecretStr

from tests.support.servers.lifecycle import free_port
from workers.celery_ext.app import build_app
from workers.celery_ext.beat_scheduler import QuietScheduler
from workers.settings import Settings


def test_an_unreachable_redis_is_logged_at_once_and_then_less_and_less_often(caplog):
    # Given a beat whose Redis is away from the beginning
    settings = Settings(broker_url=SecretStr(f"redis://127.0.0.1:{free_port()}/0"))
    scheduler = QuietScheduler(app=build_app(settings))
    assert len(caplog.records) == 1
    # When nine tasks are due
    with caplog.at_level(logging.INFO):
        for _ in range(9):
            scheduler.apply_entry(scheduler.schedule["sweep"], producer=scheduler.producer)
    # Then it logged that at the first, second, fourth and eighth failure, without a traceback
    assert len(caplog.records) == 4
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert "Traceback" not in caplog.text
    assert "Redis cannot be reached (Error 111" in caplog.text


def test_a_beat_within_a_worker_uses_the_same_scheduler():
    app = build_app(Settings())
    assert symbol_by_name(app.conf.beat_scheduler) is QuietScheduler
