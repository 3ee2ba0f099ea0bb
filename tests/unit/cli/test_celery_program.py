"""The options of Celery's programs, the defaults of a trainer, and what they log of Redis."""

import logging
import sys

import pytest
import redis

from cli.services.celery_program import option_values, plain_if_redis_is_away
from cli.services.worker_and_beat import _set_trainer_defaults
from training import extra


@pytest.fixture
def with_extra(monkeypatch):
    """As if the [training] extra were installed."""
    monkeypatch.setattr(extra, "TRAINING_PACKAGES", ())


@pytest.mark.parametrize(
    ("options", "values"),
    [
        (["-Q", "training"], ["training"]),
        (["-Qtraining"], ["training"]),
        (["--queues", "training"], ["training"]),
        (["--queues=training,classify"], ["training,classify"]),
        (["--concurrency", "4"], []),
        ([], []),
    ],
)
def test_an_option_is_found_in_every_spelling(options, values):
    assert option_values(options, "-Q", "--queues") == values


def test_a_trainer_has_one_child_which_gives_its_memory_back_after_a_run(with_extra):
    options = ["--queues", "training"]
    _set_trainer_defaults(options)
    assert options[2:] == ["--concurrency", "1", "--max-tasks-per-child", "1"]


def test_options_set_by_the_operator_are_kept(with_extra):
    options = ["-Qtraining", "-c2", "--max-tasks-per-child=7"]
    _set_trainer_defaults(options)
    assert options == ["-Qtraining", "-c2", "--max-tasks-per-child=7"]


def record_of(error):
    try:
        raise error
    except type(error):
        return logging.LogRecord(
            "celery", logging.CRITICAL, "", 0, "Couldn't ack %r", (7,), sys.exc_info()
        )


def test_an_acknowledgement_refused_by_redis_is_one_warning():
    record = record_of(redis.ConnectionError("Connection refused"))
    assert plain_if_redis_is_away(record)
    assert (record.levelname, record.exc_info) == ("WARNING", None)


def test_another_failure_of_an_acknowledgement_keeps_its_traceback():
    record = record_of(KeyError(7))
    assert plain_if_redis_is_away(record)
    assert record.levelname == "CRITICAL"
    assert record.exc_info[0] is KeyError
