"""What a worker is told on the command line, and what a trainer is given besides."""

import pytest

from cli.services import worker_and_beat
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
    assert worker_and_beat._values(options, "-Q", "--queues") == values


def test_a_trainer_has_one_child_which_gives_its_memory_back_after_a_run(with_extra):
    given = worker_and_beat._trainers_options(["--queues", "training"])
    assert given == ["--concurrency", "1", "--max-tasks-per-child", "1"]


def test_what_a_person_says_is_left(with_extra):
    said = ["-Qtraining", "-c2", "--max-tasks-per-child=7"]
    assert worker_and_beat._trainers_options(said) == []
