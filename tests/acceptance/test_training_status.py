"""What ``cratesort status`` says of the last training run, and how exit codes tell its faults."""

import json

import pytest

from cli.console.exit_codes import Exit, Explanation, explain
from db.engine import create_engine
from db.registry import training_runs
from db.states import RunTrigger, RunVerdict
from training.errors import DatabaseUnreachableError, RunNotOpenedError


@pytest.fixture
def database(sqlite_url):
    engine = create_engine(sqlite_url)
    yield engine
    engine.dispose()


@pytest.fixture
def run(database):
    """Begin a run, with a lease of this many seconds."""

    def run(lease_seconds=60):
        with database.begin() as connection:
            return training_runs.open_run(
                connection, slot=None, trigger=RunTrigger.HAND, lease_seconds=lease_seconds,
                holder="host:1", seed=0, libraries={},
            )  # fmt: skip

    return run


@pytest.fixture
def ask(run_cli, sqlite_url):
    """The line for people, and what stands in the JSON."""

    def ask():
        settings = {"CRATESORT_DATABASE_URL": sqlite_url}
        lines = run_cli("status", settings=settings).stdout.splitlines()
        told = [line for line in lines if line.startswith("Training")]
        state = json.loads(run_cli("status", "--json", settings=settings).stdout)
        return "\n".join(told), state["training"]

    return ask


def test_without_a_run_nothing_is_shown(ask):
    assert ask() == ("", None)


def test_a_running_run_shows_its_progress(ask, run, database):
    opened = run()
    with database.begin() as connection:
        training_runs.heartbeat(
            connection, opened.id, opened.token, lease_seconds=60, stage="fold: 2 of 5"
        )
    line, training = ask()
    assert line == f"Training  run 1 since {training['started_at']}: fold: 2 of 5"
    assert (training["state"], training["stage"], training["lease_expired"]) == (
        "running",
        "fold: 2 of 5",
        False,
    )


def test_a_run_with_an_expired_lease_is_not_shown_as_running(ask, run):
    run(lease_seconds=-1)
    line, training = ask()
    assert line == (
        "Training  run 1 stopped responding (at its start); it will be closed as failed"
    )
    assert training["lease_expired"] is True


def test_a_finished_run_shows_its_verdict_and_reason(ask, run, database):
    opened = run()
    with database.begin() as connection:
        training_runs.close_done(
            connection, opened.id, opened.token, verdict=RunVerdict.KEPT,
            reason="macro F1 fell from 0.90 to 0.80", model_version="v2", sizes={}, metrics={},
            report=None, last_label_id=0,
        )  # fmt: skip
    line, training = ask()
    assert line == (
        f"Training  run 1: model v2 not promoted, {training['finished_at']}: macro F1 fell from "
        "0.90 to 0.80"
    )
    assert (training["verdict"], training["model_version"]) == ("kept", "v2")


def test_a_failed_run_shows_its_reason(ask, run, database):
    opened = run()
    with database.begin() as connection:
        training_runs.close_failed(connection, opened.id, opened.token, reason="out of memory")
    line, training = ask()
    assert line == f"Training  run 1 failed, {training['finished_at']}: out of memory"
    assert (training["state"], training["verdict"]) == ("failed", None)


def test_a_run_that_loses_its_database_exits_with_the_code_of_an_unreachable_service():
    assert explain(DatabaseUnreachableError("no answer")) == Explanation(
        "no answer", Exit.UNREACHABLE
    )
    assert explain(RunNotOpenedError("one runs")) == Explanation("one runs", Exit.USAGE)
