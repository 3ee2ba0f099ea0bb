"""What a worker is told on the command line, and what a trainer is given besides."""

import pytest

from cli.services.celery_program import option_values
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
def test_an_option_is_found_however_it_is_spelt(options, values):
    assert option_values(options, "-Q", "--queues") == values


def test_a_trainer_has_one_child_which_gives_its_memory_back_after_a_run(with_extra):
    options = ["--queues", "training"]
    _set_trainer_defaults(options)
    assert options[2:] == ["--concurrency", "1", "--max-tasks-per-child", "1"]


def test_what_the_operator_sets_stays(with_extra):
    options = ["-Qtraining", "-c2", "--max-tasks-per-child=7"]
    _set_trainer_defaults(options)
    assert options == ["-Qtraining", "-c2", "--max-tasks-per-child=7"]
